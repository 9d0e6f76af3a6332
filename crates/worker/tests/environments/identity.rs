//! As whom functions call the server.

use std::sync::Arc;

use crate::harness::Machine;

crate::tests!(processes_have_keys_of_their_own_and_the_door_knows_them);

async fn processes_have_keys_of_their_own_and_the_door_knows_them(machine: Arc<Machine>) {
    let code = "import os, socket
from urllib.parse import urlsplit
def handler(e, c):
  if e == 'exit': os._exit(1)
  at = urlsplit(os.environ['AWS_ENDPOINT_URL'])
  with socket.create_connection((at.hostname, at.port)) as s: heard = s.makefile().read()
  return [heard, os.environ['AWS_ACCESS_KEY_ID']]";
    let mut function = machine.python(code);
    let keys = function.answer("{}").await;
    assert_eq!(keys[0], keys[1]);
    function.error("\"exit\"").await;
    let others = function.answer("{}").await;
    assert_eq!(others[0], others[1]);
    assert_ne!(keys[0], others[0], "processes that are made anew have new credentials");
}
