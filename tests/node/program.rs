//! The real binary as a child process, for what only a process of its own can show.

use std::{
    fs::File,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output},
    time::Duration,
};

use gpt_load_benches::raw::{Answer, Client};

use crate::support::{MARKER, PATIENCE, Request};

/// Bound on a start, and on a refused one. In a debug build one passphrase takes a second of a free processor to stretch, and a
/// change of passphrases stretches three.
const START_PATIENCE: Duration = PATIENCE.saturating_mul(5);

/// A running `gpt-load`; killed when it is dropped. Then nothing that it printed, nor its arguments, may hold a marked secret.
pub(crate) struct Program {
    child: Child,
    address: SocketAddr,
    folder: PathBuf,
}

/// Starts `gpt-load` in `folder` with nothing of this process's environment but `env`; what it prints goes to the file
/// `output` there. Does not wait.
pub(crate) fn spawn(folder: &Path, env: &[(&str, &str)]) -> Program {
    // Any port that is free now; the configuration itself knows no such thing.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = File::options().create(true).append(true).open(folder.join("output")).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_gpt-load"))
        .current_dir(folder)
        .env_clear()
        .envs([("HOST", "127.0.0.1"), ("PORT", &address.port().to_string()), ("WORKERS", "2")])
        .envs(env.iter().copied())
        .stdin(std::process::Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    Program { child, address, folder: folder.to_owned() }
}

/// [`spawn`], and waits until it serves.
pub(crate) async fn start(folder: &Path, env: &[(&str, &str)]) -> Program {
    let mut program = spawn(folder, env);
    let serves = async {
        loop {
            // The port is taken some time before anybody answers there.
            if let Ok(mut client) = Client::connect(program.address).await
                && client.exchange(&Request::new("GET", "/health").bytes()).await.is_ok()
            {
                break;
            }
            assert!(program.child.try_wait().unwrap().is_none(), "it ended: {}", output(folder));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(START_PATIENCE, serves).await.expect("it serves");
    program
}

/// Everything that was printed by the programs started in `folder`.
pub(crate) fn output(folder: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(folder.join("output")).unwrap()).into_owned()
}

/// Runs `gpt-load` with these arguments in `folder` to its end.
pub(crate) fn command(folder: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gpt-load"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(env.iter().copied())
        .stdin(std::process::Stdio::null())
        .output()
        .inspect(|said| assert_unmarked(&String::from_utf8_lossy(&[&*said.stdout, &*said.stderr].concat())))
        .unwrap()
}

/// Fails when `text` holds a marked secret, without repeating it.
pub(crate) fn assert_unmarked(text: &str) {
    let line = text.lines().find(|line| line.contains(MARKER)).map(|line| line.replace(MARKER, "…"));
    assert!(line.is_none(), "a secret was printed: {line:?}");
}

impl Program {
    /// Its arguments, as other users of the machine see them; empty where the system has no such file.
    pub(crate) fn arguments(&self) -> String {
        let path = format!("/proc/{}/cmdline", self.child.id());
        String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, request: &Request) -> Answer {
        let mut client = Client::connect(self.address).await.unwrap();
        tokio::time::timeout(PATIENCE, client.exchange(&request.bytes())).await.expect("an answer").unwrap()
    }

    /// Sends the signal named `name`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let ending = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(START_PATIENCE, ending).await.expect("it ends")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            assert_unmarked(&String::from_utf8_lossy(&std::fs::read(self.folder.join("output")).unwrap_or_default()));
        }
    }
}
