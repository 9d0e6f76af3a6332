"""`hearth keys`: in a running server and in a data folder at rest."""

import json

import pytest

from support.keys import hearth_keys, made
from support.server import Server


def listed(server, *args):
    return json.loads(hearth_keys(server, "list", "--json", *args))["AccessKeys"]


@pytest.fixture
def stopped():
    server = Server()
    yield server
    server.close()


def test_keys_are_made_and_deleted_before_during_and_after_a_server(stopped):
    server = stopped
    before = made(server)
    server.start()
    during = made(server, "--user", "bob")
    assert [key["UserName"] for key in listed(server)] != []
    assert {key["AccessKeyId"] for key in listed(server)} == {before["AccessKeyId"], during["AccessKeyId"]}
    hearth_keys(server, "delete", before["AccessKeyId"])
    server.stop()
    assert [key["AccessKeyId"] for key in listed(server)] == [during["AccessKeyId"]]
    server.start()
    assert [key["UserName"] for key in listed(server)] == ["bob"]
    server.stop()


def test_secrets_are_nowhere_on_the_disk(stopped):
    server = stopped.start()
    secret = made(server)["SecretAccessKey"].encode()
    server.kill()
    files = [path for path in server.folder.rglob("*") if path.is_file()]
    assert any(path.name.startswith("meta.db") for path in files)
    assert not [path for path in files if secret in path.read_bytes()]


def test_a_key_file_of_ones_own_is_used_and_must_be_ones_own(stopped, tmp_path):
    server, key_file = stopped, tmp_path / "key"
    with pytest.raises(RuntimeError, match="2: .*cannot be read"):
        made(server, "--key-file", str(key_file))
    key_file.write_bytes(b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=\n")
    key_file.chmod(0o644)
    with pytest.raises(RuntimeError, match="2: .*chmod 600"):
        made(server, "--key-file", str(key_file))
    key_file.chmod(0o600)
    made(server, "--key-file", str(key_file))
    assert [key["Opens"] for key in listed(server, "--key-file", str(key_file))] == [True]
    own = server.data / "secret.key"
    with pytest.raises(RuntimeError, match="2: .*secret.key is not there"):
        listed(server)
    assert not own.exists()
    own.write_bytes(b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWc=\n")
    own.chmod(0o600)
    with pytest.raises(RuntimeError, match="2: .*sealed with another key"):
        listed(server)


def test_what_cannot_be_a_key_is_refused(stopped, tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text('{"Statement":[{"Effect":"Allow","Action":"*"}]}')
    for args, why in [
        (["--user", "a b"], "cannot be a user"),
        (["--policy", str(policy)], "Policy statement must contain resources"),
        (["--policy", str(tmp_path / "none")], "No such file"),
        (["--policy-arn", "arn:aws:iam::aws:policy/None"], "there is no managed policy"),
    ]:
        with pytest.raises(RuntimeError, match=f"2: .*{why}"):
            made(stopped, *args)
    with pytest.raises(RuntimeError, match="2: .*no access key AKIANONE"):
        hearth_keys(stopped, "delete", "AKIANONE")
