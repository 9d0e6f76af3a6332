//! What a function sees, and cannot.

use hearth_sandbox::Exit;

use crate::harness::{Probe, World};

pub(crate) async fn a_function_runs_and_its_exit_is_told(world: World) {
    let probe = "import os, sys; print(os.getuid(), os.getgid(), os.getcwd(), os.listdir('.')); sys.exit(7)";
    let running = world.run(Probe::new(probe)).await;
    assert_eq!(running.read_all().await, "993 990 /var/task ['app.py']\n");
    assert_eq!(running.sandbox.exited().await, Exit::Code(7));
    assert!(running.sandbox.destroy(false).await.is_none());
}
