"""Deploy tools as a new user runs them: one address, made-up credentials, nothing else."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.clients import service_of
from support.server import wait_until

TOOLS = Path(sys.executable).parent

APP = """
from chalice import Chalice

app = Chalice(app_name="{name}")


@app.lambda_function()
def hello(event, context):
    return {{"{greeting}": event}}
"""


@pytest.fixture
def shell(server, tmp_path):
    """shell("chalice", "deploy") in the test's folder; what it printed."""
    environment = {
        **{name: os.environ[name] for name in ("CARGO_HOME", "RUSTUP_HOME") if name in os.environ},
        "PATH": f"{TOOLS}:{os.environ['PATH']}",
        "HOME": os.environ["HOME"],
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def run(*words, text=None):
        done = subprocess.run(words, env=environment, input=text, capture_output=True, text=True, cwd=tmp_path, timeout=240)
        assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
        return done.stdout

    return run


def test_chalice_deploys_updates_and_deletes(server, shell, tmp_path):
    name = f"chalice{os.getpid()}"
    (tmp_path / ".chalice").mkdir()
    (tmp_path / ".chalice/config.json").write_text(json.dumps({"version": "2.0", "app_name": name, "stages": {"dev": {}}}))
    (tmp_path / "requirements.txt").write_text("")
    for greeting in ("hello", "again"):
        (tmp_path / "app.py").write_text(APP.format(name=name, greeting=greeting))
        assert f"function:{name}-dev-hello" in shell("chalice", "deploy")
        assert json.loads(shell("chalice", "invoke", "-n", "hello", text='{"a": 1}')) == {greeting: {"a": 1}}
    iam = service_of(server, "iam")
    assert iam.list_role_policies(RoleName=f"{name}-dev")["PolicyNames"] == [f"{name}-dev"]
    shell("chalice", "delete")
    assert f"{name}-dev" not in [role["RoleName"] for role in iam.list_roles()["Roles"]]


def test_chalice_makes_sources_that_work(server, shell, tmp_path):
    """A queue's messages reach the function; a schedule is a rule with the function as its target."""
    name = f"events{os.getpid()}"
    (tmp_path / ".chalice").mkdir()
    (tmp_path / ".chalice/config.json").write_text(json.dumps({"version": "2.0", "app_name": name, "stages": {"dev": {}}}))
    (tmp_path / "requirements.txt").write_text("")
    (tmp_path / "app.py").write_text(
        f"from chalice import Chalice, Rate\napp = Chalice(app_name='{name}')\n"
        f"@app.on_sqs_message(queue='{name}')\ndef told(event):\n    for record in event: print('told', record.body)\n"
        "@app.schedule(Rate(1, unit=Rate.HOURS))\ndef due(event): pass\n"
    )
    sqs, functions, events, logs = (service_of(server, service) for service in ("sqs", "lambda", "events", "logs"))
    queue = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
    try:
        shell("chalice", "deploy")
        sqs.send_message(QueueUrl=queue, MessageBody="hello")

        def heard():
            found = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}-dev-told", filterPattern="told")["events"]
            return any("told hello" in event["message"] for event in found)

        wait_until(lambda: group_is_there(logs, f"/aws/lambda/{name}-dev-told") and heard(), 60, "the message did not come")
        due = functions.get_function(FunctionName=f"{name}-dev-due")["Configuration"]["FunctionArn"]
        (rule,) = events.list_rule_names_by_target(TargetArn=due)["RuleNames"]
        assert events.describe_rule(Name=rule)["ScheduleExpression"] == "rate(1 hour)"
        shell("chalice", "delete")
        assert functions.list_event_source_mappings(FunctionName=f"{name}-dev-told")["EventSourceMappings"] == []
        assert events.list_rule_names_by_target(TargetArn=due)["RuleNames"] == []
    finally:
        sqs.delete_queue(QueueUrl=queue)


def group_is_there(logs, group):
    return any(found["logGroupName"] == group for found in logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"])


def test_cargo_lambda_deploys_with_a_role_of_its_own(server, shell, tmp_path):
    name = f"cargo-{os.getpid()}"
    (tmp_path / "src").mkdir()
    (tmp_path / "src/main.rs").write_text("fn main() {}\n")
    (tmp_path / "Cargo.toml").write_text(f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2024"\n\n[workspace]\n')
    functions, iam = service_of(server, "lambda"), service_of(server, "iam")
    role = None
    try:
        deploy = ("cargo", "lambda", "deploy", name, "--binary-path", os.environ["BOOTSTRAP"])
        shell(*deploy)
        role = functions.get_function(FunctionName=name)["Configuration"]["Role"].rsplit("/", 1)[1]
        assert [policy["PolicyName"] for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]] == ["AWSLambdaBasicExecutionRole"]
        answer = shell("cargo", "lambda", "invoke", "--remote", name, "--data-ascii", '{"name": "you"}')
        assert re.search(r'"hello": ?"you"', answer), answer
        shell(*deploy, "--memory", "512", "--env-var", "STAGE=test", "--tag", "team=x")
        shown = functions.get_function(FunctionName=name)["Configuration"]
        assert (shown["MemorySize"], shown["Environment"]["Variables"]) == (512, {"STAGE": "test"})
    finally:
        if role:
            functions.delete_function(FunctionName=name)
            iam.detach_role_policy(RoleName=role, PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")
            iam.delete_role(RoleName=role)
