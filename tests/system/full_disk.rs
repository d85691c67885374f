//! No room on disk: reports are refused, decisions go on, and when there is room again nobody has to do anything.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::admin::Admin;
use super::client::Client;
use super::posture::{Device, domain, process};
use super::process::{PATIENCE, Running, in_shell};
use super::support::Origin;
use super::world::World;

const WIKI: &str = "wiki.example.test";

/// Something that can take a running gateway's room on disk away, and give it back.
trait Disk {
    fn fill(&self, gateway: &Running);
    fn make_room(&self, gateway: &Running);
}

/// What every kind of full disk must look like from outside.
async fn outlives_a_full_disk(world: &World, command: Command, disk: impl Disk) -> Running {
    let gateway = world.start_command(command).await;
    let admin = Admin::new(&gateway, &world.authority);
    let (alice, bob) = (world.certificate("alice"), world.certificate("bob"));
    let (compliant, other) =
        (Client::http1(&gateway, &world.authority, &alice), Client::http1(&gateway, &world.authority, &bob));
    let device = Device::new(&gateway, &world.authority, &alice);
    device.report(&[domain("corp.example")]).await;
    assert_eq!(compliant.status(WIKI, "/").await, 200);
    let posture = admin.posture("alice").await;

    disk.fill(&gateway);
    for _ in 0..3 {
        // Large enough not to fit into what the file has to spare.
        let large: Vec<Value> = (0..200).map(|number| process(&format!("/{number}/{}", "x".repeat(3000)))).collect();
        let (status, reply) =
            device.send(Value::from([vec![domain("elsewhere.example")], large].concat()).to_string()).await.unwrap();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{reply}");
    }
    assert_eq!(admin.posture("alice").await, posture, "what was known stays");
    assert_eq!(compliant.status(WIKI, "/").await, 200);
    assert_eq!(other.status(WIKI, "/").await, 403);
    assert_eq!(admin.failures("bob").await.len(), 1, "kept in memory at least");
    assert!(admin.metric(r#"postern_store_writes_total{result="failed"}"#).await >= 3.0);
    assert!(admin.metric(r#"postern_posture_reports_total{result="unavailable"}"#).await >= 3.0);
    assert_eq!(admin.readiness().await.0, 200);

    disk.make_room(&gateway);
    let accepted = async {
        while device.send(Value::from(vec![domain("left.example")]).to_string()).await.unwrap().0 != StatusCode::CREATED
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, accepted).await.expect("reports are taken again once there is room");
    assert_eq!(compliant.status(WIKI, "/").await, 403);
    gateway
}

/// A bound on the size of files, as `ulimit -f` sets it. No privilege is needed for it.
struct SizeLimit;

impl SizeLimit {
    fn set(gateway: &Running, soft: &str) {
        let pid = gateway.id().to_string();
        let set = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={soft}:unlimited")]).status();
        assert!(set.expect("prlimit belongs to every Linux").success());
    }
}

impl Disk for SizeLimit {
    fn fill(&self, gateway: &Running) {
        SizeLimit::set(gateway, "0");
    }

    fn make_room(&self, gateway: &Running) {
        SizeLimit::set(gateway, "unlimited");
    }
}

#[tokio::test]
async fn a_bound_on_file_sizes_refuses_reports_and_nothing_else() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    // The signal that comes with the error would end the process; an ignored one stays ignored over exec.
    let command = in_shell("trap '' XFSZ; exec \"$@\"", "sh", &world.command());
    let last = outlives_a_full_disk(&world, command, SizeLimit).await;
    last.kill();
    let gateway = world.start().await;
    let admin = Admin::new(&gateway, &world.authority);
    assert_eq!(admin.posture("alice").await["domain"]["domain"], "left.example");
}

/// A small file system of the gateway's own, which nobody else sees and which ends with it.
struct SmallDisk {
    data: PathBuf,
}

impl SmallDisk {
    /// The command on such a disk; `None` where this user may not mount anything, not even for itself.
    fn around(command: &Command, data: &Path) -> Option<Command> {
        let data = data.to_str().unwrap();
        let alone: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
        alone.into_iter().find_map(|alone| {
            let unshared = |script: &str, command: &Command| {
                let shell = in_shell(script, data, command);
                let mut unshare = Command::new("unshare");
                unshare.args(alone).arg(shell.get_program()).args(shell.get_args()).stdin(Stdio::null());
                unshare
            };
            const MOUNT: &str = "mount -t tmpfs -o size=8m,mode=700 postern \"$0\"";
            let tried = unshared(MOUNT, command).stderr(Stdio::null()).status();
            let mounted = tried.is_ok_and(|tried| tried.success());
            mounted.then(|| unshared(&format!("{MOUNT} && exec \"$@\""), command))
        })
    }

    fn filler(&self, gateway: &Running) -> PathBuf {
        let inside = self.data.strip_prefix("/").unwrap().join("filler");
        PathBuf::from(format!("/proc/{}/root", gateway.id())).join(inside)
    }
}

impl Disk for SmallDisk {
    fn fill(&self, gateway: &Running) {
        let mut filler = fs::File::create(self.filler(gateway)).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
    }

    fn make_room(&self, gateway: &Running) {
        fs::remove_file(self.filler(gateway)).unwrap();
    }
}

#[tokio::test]
async fn a_full_file_system_refuses_reports_and_nothing_else() {
    let origin = Origin::start().await;
    let world = World::before(&origin);
    let data = world.path("data");
    fs::create_dir(&data).unwrap();
    let Some(command) = SmallDisk::around(&world.command(), &data) else {
        println!("skipped: this user may not mount a file system, not even for itself");
        return;
    };
    outlives_a_full_disk(&world, command, SmallDisk { data }).await.stop().await;
}
