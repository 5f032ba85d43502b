// SPDX-License-Identifier: GPL-2.0
//! Builds a kernel for a guest: tree, options, kbuild, and a module folder that modprobe understands.

mod config;
mod kbuild;
mod modules;
mod seed;
mod steps;
mod variant;

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::bail;
use anyhow::Context as _;
use anyhow::Result;

use crate::cache::require_space;
use crate::cache::write_atomically;
use crate::cache::Cache;
use crate::host::command::find;
use crate::host::needs::Purpose;
use crate::host::setup;
use crate::host::system::System;
use crate::host::toolchain::Rust;
use crate::host::toolchain::Toolchain;
use crate::overlay;
use crate::overlay::Laid;
use crate::overlay::Series;
use crate::source;
use crate::source::Tree;
use crate::ui;
pub use config::fragment;
pub use steps::folder as series_folder;
pub use steps::Steps;
pub use variant::Flavour;
pub use variant::Guest;
pub use variant::Part;
pub use variant::Variant;

/// The engine's object, in a build folder.
pub const ENGINE: &str = "block/copy/blk_copy.o";

/// Where everything is, for this run.
#[derive(Clone, Debug)]
pub struct Context {
    pub cache: Cache,
    pub repo: PathBuf,
    /// The kernel source that the user named.
    pub linux: Option<PathBuf>,
}

/// A kernel that can be booted.
#[derive(Clone, Debug)]
pub struct Kernel {
    pub variant: Variant,
    pub image: PathBuf,
    /// What stands at `/lib/modules/RELEASE` in the guest.
    pub modules: PathBuf,
}

/// Gets the source and lays the series over it.
pub fn prepare_tree(context: &Context) -> Result<(Tree, Laid)> {
    let tree = source::obtain(&context.cache, context.linux.as_deref())?;
    let series = Series::load(&context.repo)?;
    let laid = overlay::lay(&context.repo, &series, &tree.dir)?;
    let others = overlay::pinned::differing(&context.repo, &tree.dir)?;
    if !others.is_empty() {
        let names: Vec<String> = others
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        ui::note(&format!(
            "the series was made against other files of Linux {} than those of {}: {}",
            source::PINNED,
            tree.origin,
            names.join(" ")
        ));
    }
    Ok((tree, laid))
}

/// The `refresh` subcommand: carries edits of the tree into the repository.
pub fn refresh(context: &Context) -> Result<()> {
    let tree = source::cached(&context.cache)?;
    let tree = tree.context("there is no kernel source yet: `./x linux` fetches it")?;
    let series = Series::load(&context.repo)?;
    let refreshed = overlay::refresh(&context.repo, &series, &tree.dir)?;
    if refreshed.is_empty() {
        ui::note("nothing was edited in the kernel's tree");
    }
    for (target, files) in refreshed {
        let files: Vec<String> = files
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        ui::note(&format!("{} has {}", target.display(), files.join(", ")));
        println!("{}", target.display());
    }
    Ok(())
}

/// How much a build may skip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Skip `make` if nothing in the repository changed since it last succeeded.
    Changed,
    Always,
}

/// A build folder with all that one needs to work in it.
pub struct Work<'a> {
    pub context: &'a Context,
    pub variant: Variant,
    pub tree: Tree,
    pub laid: Laid,
    toolchain: Toolchain,
}

impl<'a> Work<'a> {
    /// Prepares the tree and finds the compilers. The caller holds the cache's lock.
    pub fn new(context: &'a Context, variant: Variant) -> Result<Self> {
        ensure_possible(variant)?;
        let (tree, laid) = prepare_tree(context)?;
        Ok(Self::of(context, variant, tree, laid))
    }

    /// The same in a tree that the caller has prepared.
    pub fn of(context: &'a Context, variant: Variant, tree: Tree, laid: Laid) -> Self {
        let toolchain = Toolchain::find(&context.cache);
        Self {
            context,
            variant,
            tree,
            laid,
            toolchain,
        }
    }

    pub fn dir(&self) -> PathBuf {
        self.variant.dir(&self.context.cache)
    }

    /// The log of the last build.
    pub fn log(&self) -> PathBuf {
        self.context
            .cache
            .logs()
            .join(format!("build-{}.log", self.variant))
    }

    /// Builds what is in `Kbuild` at the top of the repository as a user would who has the kernel only.
    pub fn build_external(&self, out: &Path) -> Result<()> {
        kbuild::make_external(self, &self.context.repo, out)
    }

    /// Builds the kernel and its modules.
    pub fn build(&self, when: When) -> Result<Kernel> {
        let dir = self.dir();
        let stamp = dir.join(".x-built");
        let identity = self.identity_with(self.variant, &self.laid.identity)?;
        let image = dir.join(self.variant.image());
        let current = when == When::Changed
            && image.is_file()
            && fs::read_to_string(&stamp).is_ok_and(|text| text == identity);
        if !current {
            if !image.is_file() {
                require_space(self.context.cache.root(), 3 << 30)?;
            }
            let _ = fs::remove_file(&stamp);
            self.start()?;
            kbuild::make(self)?;
            if kbuild::has_modules(self) {
                modules::install(&dir)?;
            } else {
                modules::install_none(&dir)?;
            }
            write_atomically(&stamp, identity.as_bytes())?;
        }
        let modules = modules::folder(&dir)?;
        Ok(Kernel {
            variant: self.variant,
            image,
            modules,
        })
    }

    /// Has clippy look at the kernel crate and at objects of Rust, and leaves what it says in the
    /// log. It stands in for the compiler, and its code is slower: such a kernel is not for use.
    pub fn lint(&self, objects: &[PathBuf]) -> Result<()> {
        self.start()?;
        kbuild::make_objects(self, objects)
    }

    /// Makes the build folder, with its configuration.
    fn start(&self) -> Result<()> {
        let dir = self.dir();
        if !dir.exists() {
            seed::copy(self.context, self.variant)?;
        }
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        config::configure(self)
    }

    /// What was asked for, as lines of a configuration, and is not so in that of the build folder.
    pub fn refused(&self) -> Result<Vec<String>> {
        config::refused_by(self)
    }

    /// The kernel's `make` for this build folder, without a target.
    pub fn make(&self) -> Result<Command> {
        kbuild::command(self)
    }

    /// Has another program's `make` use our compilers: by its environment, and by the variables that are returned.
    pub fn compilers(&self, command: &mut Command) -> Result<Vec<String>> {
        command.envs(self.toolchain.environment(&self.context.cache));
        kbuild::variables(self)
    }

    /// A program of the LLVM release that builds the kernel.
    pub fn llvm_tool(&self, name: &str) -> Option<PathBuf> {
        find(&format!("{name}{}", self.toolchain.llvm.as_ref()?.suffix))
    }

    /// The Rust compiler and its library.
    pub fn rust(&self) -> Option<&Rust> {
        self.toolchain.rust.as_ref()
    }

    pub fn rustfmt(&self) -> Option<&Path> {
        self.toolchain.rustfmt.as_deref()
    }

    /// A text that changes when a build of `variant` could have another result; `series` is the identity of what was
    /// put into the tree.
    pub fn identity_with(&self, variant: Variant, series: &str) -> Result<String> {
        let fragment = config::fragment(&self.context.repo, variant)?;
        Ok(format!(
            "tree {} {}\nseries {series}\n{}{fragment}",
            self.tree.dir.display(),
            self.tree.version,
            self.toolchain.identity()
        ))
    }
}

/// A kernel that was built before, however old.
pub fn built(context: &Context, variant: Variant) -> Option<Kernel> {
    let dir = variant.dir(&context.cache);
    let image = dir.join(variant.image());
    let modules = modules::folder(&dir).ok()?;
    image.is_file().then_some(Kernel {
        variant,
        image,
        modules,
    })
}

/// Makes sure that a kernel is built, and returns it.
pub fn build(context: &Context, variant: Variant, when: When) -> Result<Kernel> {
    ensure_possible(variant)?;
    let mut purposes = vec![Purpose::Build, Purpose::Guest];
    if variant.guest == Guest::Qemu {
        purposes.push(Purpose::Qemu);
    }
    setup::ensure(&context.cache, &purposes)?;
    let _lock = context.cache.lock()?;
    Work::new(context, variant)?.build(when)
}

/// The `build` subcommand.
pub fn run(context: &Context, guest: Guest, flavour: Flavour) -> Result<()> {
    let variant = Variant { guest, flavour };
    let kernel = build(context, variant, When::Always)?;
    ui::note(&format!("{variant}: {}", kernel.image.display()));
    Ok(())
}

/// Fails where the kernel cannot be built.
fn ensure_possible(variant: Variant) -> Result<()> {
    match System::here().cannot() {
        Some(text) if variant.guest != Guest::Arm => bail!(text),
        _ => Ok(()),
    }
}

/// The text of a file, or nothing if it is not there.
fn text_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
