// SPDX-License-Identifier: MIT OR Apache-2.0
//! Meson: the installed package by its pkg-config file, the source tree as a
//! subproject, and `meson install`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::copies::{
    assert_same_tree, command, fresh, hello, layouts, make, run_hello, run_hello_cpp,
    target_directory, with_blanks,
};
use crate::support::tools::have_all;
use crate::support::{process, scratch, source_root};

fn with_meson() -> bool {
    let tools = [("meson", "meson"), ("ninja", "ninja-build"), ("pkg-config", "pkg-config")];
    have_all("Meson", &tools)
}

/// The project of `tests/install/meson`, with its sources.
fn consumer(folder: &Path) -> PathBuf {
    let project = folder.join("project");
    fs::create_dir_all(project.join("subprojects")).expect("the scratch directory is ours");
    let build_file = source_root().join("tests/install/meson/meson.build");
    let plugin = source_root().join("tests/install/plugin.c");
    for file in [build_file, plugin, hello("c"), hello("cpp")] {
        let name = file.file_name().expect("a file");
        fs::copy(&file, project.join(name)).expect("the scratch directory is ours");
    }
    project
}

/// Sets it up, builds it, and runs its programs.
fn build_and_run(project: &Path, options: &[String], pkg_config: Option<&Path>) {
    let folder = project.with_file_name("build");
    let mut meson = command("meson");
    meson.arg("setup").arg(&folder).arg(project).args(options);
    if let Some(path) = pkg_config {
        meson.env("PKG_CONFIG_PATH", path);
    }
    process::output_of(&mut meson);
    process::output_of(command("ninja").arg("-C").arg(&folder));
    run_hello(&folder.join("shared"), None);
    run_hello(&folder.join("static"), None);
    run_hello_cpp(&folder.join("cpp"), None);
    for (program, linked) in [("shared", true), ("static", false)] {
        let mut readelf = command("readelf");
        let text = process::output_of(readelf.arg("--dynamic").arg(folder.join(program)));
        assert_eq!(text.contains("[libthreadlocalmap.so.0]"), linked, "{program}: {text}");
    }
    let mut readelf = command("readelf");
    let text = process::output_of(readelf.arg("--dynamic").arg(folder.join("libplugin.so")));
    assert!(text.contains("NODELETE") && !text.contains("[libthreadlocalmap"), "{text}");
}

#[test]
fn meson_finds_the_package_in_two_layouts_and_in_folders_with_blanks() {
    if !with_meson() {
        return;
    }
    let [plain, multiarch] = layouts();
    for (copy, name) in [
        (plain, "meson-plain"),
        (multiarch, "meson-multiarch"),
        (with_blanks(), "meson with blanks"),
    ] {
        let project = consumer(&fresh(name));
        let options = ["--wrap-mode=nofallback".to_owned()];
        build_and_run(&project, &options, Some(&copy.libdir.join("pkgconfig")));
    }
}

#[test]
fn meson_builds_the_source_tree_as_a_subproject() {
    if !with_meson() {
        return;
    }
    let project = consumer(&fresh("meson-subproject"));
    symlink(source_root(), project.join("subprojects/threadlocalmap"))
        .expect("the scratch directory is ours");
    let target = scratch("install-dev");
    let options = [
        "--wrap-mode=forcefallback".to_owned(),
        format!("-Dthreadlocalmap:cargo_target_dir={}", target.display()),
    ];
    build_and_run(&project, &options, None);
    // Nothing is done again for nothing.
    let again = process::output_of(command("ninja").arg("-C").arg(project.with_file_name("build")));
    assert!(again.contains("no work to do"), "{again}");
}

#[test]
fn meson_installs_what_make_installs() {
    if !with_meson() {
        return;
    }
    let folder = fresh("meson-install");
    let (build, staged) = (folder.join("build"), folder.join("staged"));
    let mut meson = command("meson");
    meson.arg("setup").arg(&build).arg(source_root()).args(["--prefix=/opt/tls", "--libdir=lib"]);
    meson.arg(format!("-Dcargo_target_dir={}", target_directory().display()));
    process::output_of(&mut meson);
    process::output_of(command("ninja").arg("-C").arg(&build));
    let mut meson = command("meson");
    process::output_of(meson.args(["install", "-C"]).arg(&build).arg("--destdir").arg(&staged));
    let by_make = folder.join("by-make");
    process::output_of(make(&["install"]).arg(format!("PREFIX={}", by_make.display())));
    assert_same_tree(&staged.join("opt/tls"), &by_make);
}
