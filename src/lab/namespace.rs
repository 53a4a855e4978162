//! Namespaces for whoever runs the lab, and a clear word where the host forbids them.
//!
//! With CAP_SYS_ADMIN a network namespace is made at once. Otherwise a user namespace comes first, in which the user
//! is root: that is root over the namespaces made in it, and nothing else. To be called before any thread is made.

use std::fs;

use anyhow::{Context as _, bail};
use nix::{
    errno::Errno,
    sched::{CloneFlags, unshare},
    unistd::{getegid, geteuid},
};

/// The knobs that forbid user namespaces: where they are read, the value that forbids, and the setting that allows.
const KNOBS: [(&str, &str, &str); 3] = [
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "kernel.unprivileged_userns_clone=1",
    ),
    (
        "/proc/sys/user/max_user_namespaces",
        "0",
        "user.max_user_namespaces=10000",
    ),
];

/// Makes a network namespace for this process; for an ordinary user inside a new user namespace.
pub(super) fn enter_first() -> anyhow::Result<()> {
    match unshare(CloneFlags::CLONE_NEWNET) {
        Ok(()) => Ok(()),
        Err(Errno::EPERM) => enter_as_user().map_err(|error| advise(&error, &forbidden_by())),
        Err(error) => {
            Err(error).context("the kernel makes no network namespace (is CONFIG_NET_NS set?)")
        }
    }
}

/// Makes a network namespace for this process, as root of the namespaces that it is in.
pub(super) fn enter() -> anyhow::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET).context("cannot make a network namespace")
}

fn enter_as_user() -> anyhow::Result<()> {
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER).context("cannot make a user namespace")?;
    // Without this an ordinary user may not map a group.
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/uid_map", &format!("0 {user} 1"))?;
    write("/proc/self/gid_map", &format!("0 {group} 1"))?;
    unshare(CloneFlags::CLONE_NEWNET).context("cannot make a network namespace")
}

fn write(path: &str, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {path}"))
}

fn forbidden_by() -> Vec<&'static str> {
    let forbids =
        |path: &str, value: &str| fs::read_to_string(path).is_ok_and(|text| text.trim() == value);
    KNOBS
        .iter()
        .filter(|(path, value, _)| forbids(path, value))
        .map(|(_, _, setting)| *setting)
        .collect()
}

fn advise(error: &anyhow::Error, settings: &[&str]) -> anyhow::Error {
    let root = "run `herald lab` as root";
    if settings.is_empty() {
        anyhow::anyhow!(
            "this machine allows an ordinary user no network namespaces ({error:#}). A container runtime or a \
             security module forbids them: {root}, outside of the container"
        )
    } else {
        let knobs: Vec<_> = settings
            .iter()
            .map(|s| format!("`sudo sysctl -w {s}`"))
            .collect();
        anyhow::anyhow!(
            "this machine allows an ordinary user no network namespaces ({error:#}). Allow them with {}, or {root}",
            knobs.join(" and ")
        )
    }
}

/// Sets a parameter of the network namespace that this process is in.
pub(super) fn set_sysctl(name: &str, value: &str) -> anyhow::Result<()> {
    let path = format!("/proc/sys/net/{name}");
    // Where /proc/sys cannot be written, as in some containers, the value may be right already.
    if fs::read_to_string(&path).is_ok_and(|text| text.trim() == value) {
        return Ok(());
    }
    if let Err(error) = fs::write(&path, value) {
        bail!("cannot set {path} to {value}: {error}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_the_knob_if_there_is_one() {
        let error = anyhow::anyhow!("EPERM");
        let text = advise(&error, &["user.max_user_namespaces=10000"]).to_string();
        assert!(
            text.contains("sysctl -w user.max_user_namespaces=10000") && text.contains("as root")
        );
        let text = advise(&error, &[]).to_string();
        assert!(
            !text.contains("sysctl") && text.contains("as root"),
            "{text}"
        );
    }
}
