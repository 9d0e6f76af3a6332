"""Access keys by the command line, and clients that use them."""

import json
import subprocess

from support.clients import service_of
from support.server import HEARTH

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


def hearth_keys(server, *args):
    """What the command prints; fails with what it says."""
    command = [HEARTH, "keys", *args, "--data-dir", str(server.data)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"{done.returncode}: {done.stderr}")
    return done.stdout


def made(server, *args):
    return json.loads(hearth_keys(server, "create", "--json", *args))


def made_with(server, folder, user, *statements):
    """A key whose only policy has these statements."""
    path = folder / f"{user}.json"
    path.write_text(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
    return made(server, "--user", user, "--policy", str(path))


def make_role(server, key, name="test"):
    """A role that Lambda may take on: a server that asks for signatures takes no others."""
    trust = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}}
    client_with(server, "iam", key).create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action, resource="*", **more):
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def client_with(server, service, key, **config):
    """boto3's client for a key, or for Credentials as STS gives them."""
    if service == "s3":
        config.setdefault("signature_version", "s3v4")
    return service_of(server, service, key["AccessKeyId"], key["SecretAccessKey"], key.get("SessionToken"), **config)
