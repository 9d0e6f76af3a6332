"""Functions whose environments are not shared between tenants: TenancyConfig, X-Amz-Tenant-Id."""

import base64
import json

import pytest

from conftest import PYTHON, client_of, deployer
from support.errors import refused
from support.server import wait_until

INVALID = (400, "InvalidParameterValueException")
PER_TENANT = {"TenantIsolationMode": "PER_TENANT"}
CODE = """
seen = []
def handler(event, context):
    seen.append(context.tenant_id)
    with open("/tmp/seen", "a") as kept: print(context.tenant_id, file=kept)
    kept = open("/tmp/seen").read().splitlines()
    return {"tenant": context.tenant_id, "seen": seen, "kept": kept, "environment": context.log_stream_name}
"""
NODE = "exports.handler = async (event, context) => { console.log('told'); return context.tenantId }"
BOOTSTRAP = r"""#!/bin/bash
exec 3<>/dev/tcp/${AWS_LAMBDA_RUNTIME_API/://}
while :; do
  printf 'GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n' >&3
  tenant= length=0
  while IFS= read -r -u 3 line; do
    line=${line%$'\r'}
    case ${line,,} in
      lambda-runtime-aws-request-id:*) id=${line#*: };;
      lambda-runtime-aws-tenant-id:*) tenant=${line#*: };;
      content-length:*) length=${line#*: };;
      '') break;;
    esac
  done
  read -r -u 3 -N "$length" body
  answer="\"$tenant\""
  printf 'POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: x\r\nContent-Length: %s\r\n\r\n%s' "$id" "${#answer}" "$answer" >&3
  while IFS= read -r -u 3 line; do [ "$line" = $'\r' ] && break; done
  read -r -u 3 -N 16 taken
done
"""


@pytest.fixture
def isolated(deploy):
    return deploy(CODE, TenancyConfig=PER_TENANT, MemorySize=128)


def test_tenants_share_nothing(isolated):
    tenants = ["blue", "green", "Blue", "a.b_c:d/e=f+g-h@i j", "x" * 256]
    environments = set()
    for count in (1, 2):
        for tenant in tenants:
            told = isolated.call(TenantId=tenant)
            assert told["tenant"] == tenant and told["seen"] == told["kept"] == [tenant] * count
            environments.add((tenant, told["environment"]))
    assert len({environment for _, environment in environments}) == len(environments) == len(tenants)


def test_the_configuration_shows_it_and_keeps_it(client, isolated):
    assert client.get_function_configuration(FunctionName=isolated.name)["TenancyConfig"] == PER_TENANT
    isolated.update(CODE + "# changed", Description="changed")
    assert client.get_function(FunctionName=isolated.name)["Configuration"]["TenancyConfig"] == PER_TENANT
    assert client.publish_version(FunctionName=isolated.name)["TenancyConfig"] == PER_TENANT
    isolated.ready()
    assert isolated.call(TenantId="t", Qualifier="1")["seen"] == ["t"]
    assert isolated.call(TenantId="t")["seen"] == ["t"], "a version of its own has environments of its own"


def test_a_deploy_is_for_all_tenants(isolated):
    before = {tenant: isolated.call(TenantId=tenant)["environment"] for tenant in "ab"}
    isolated.update(CODE.replace('"tenant":', '"new": 1, "tenant":'))
    for tenant in "ab":
        told = isolated.call(TenantId=tenant)
        assert told["new"] == 1 and told["environment"] != before[tenant] and told["seen"] == [tenant]


def test_a_tenant_is_named_where_there_are_tenants_and_nowhere_else(client, deploy, isolated):
    enabled = "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your request and try again."
    for call in (client.invoke, lambda **args: client.invoke(InvocationType="Event", **args), client.invoke_with_response_stream):
        assert refused(call, FunctionName=isolated.name) == (*INVALID, enabled)
    shared = deploy("def handler(event, context): return context.tenant_id\n", MemorySize=128)
    not_enabled = "The invoked function is not enabled with tenancy configuration. Remove the tenant ID from your request and try again."
    assert refused(client.invoke, FunctionName=shared.name, TenantId="t") == (*INVALID, not_enabled)
    assert shared.call() is None
    for tenant in ("a,b", "x" * 257):
        assert refused(client.invoke, FunctionName=isolated.name, TenantId=tenant)[:2] == (400, "ValidationException")


def test_what_cannot_name_a_tenant_is_refused(client, isolated):
    name = isolated.name
    version = client.publish_version(FunctionName=name)["Version"]
    isolated.ready()
    assert refused(client.create_function_url_config, FunctionName=name, AuthType="NONE")[:2] == INVALID
    provision = client.put_provisioned_concurrency_config
    assert refused(provision, FunctionName=name, Qualifier=version, ProvisionedConcurrentExecutions=1)[:2] == INVALID
    snapshots = {"SnapStart": {"ApplyOn": "PublishedVersions"}, "Runtime": "python3.12"}
    assert refused(client.update_function_configuration, FunctionName=name, **snapshots)[:2] == INVALID


def test_events_and_streams_are_of_a_tenant_too(client, isolated):
    client.invoke(FunctionName=isolated.name, InvocationType="Event", TenantId="later")
    wait_until(lambda: len(isolated.call(TenantId="later")["seen"]) > 1, 60, "the event did not run in its tenant's environment")
    stream = client.invoke_with_response_stream(FunctionName=isolated.name, TenantId="streamed")["EventStream"]
    parts = b"".join(event["PayloadChunk"]["Payload"] for event in stream if "PayloadChunk" in event)
    assert json.loads(parts)["tenant"] == "streamed"


def test_every_runtime_is_told(deploy):
    node = deploy({"index.js": NODE}, Runtime="nodejs20.x", Handler="index.handler", TenancyConfig=PER_TENANT)
    assert node.call(TenantId="n") == "n"
    bash = deploy({"bootstrap": (BOOTSTRAP, 0o755)}, Runtime="provided.al2023", Handler="any", TenancyConfig=PER_TENANT)
    assert [bash.call(TenantId=tenant) for tenant in ("b", "c", "b")] == ["b", "c", "b"]


def test_json_records_name_the_tenant(deploy):
    told = "import logging\ndef handler(event, context):\n    logging.getLogger().warning('told')\n"
    config = {"LogFormat": "JSON", "SystemLogLevel": "DEBUG"}
    for code, settings in ((told, {"Runtime": PYTHON}), ({"index.js": NODE}, {"Runtime": "nodejs20.x", "Handler": "index.handler"})):
        function = deploy(code, TenancyConfig=PER_TENANT, LoggingConfig=config, **settings)
        answer = function.invoke(TenantId="one", LogType="Tail")
        lines = [json.loads(line) for line in base64.b64decode(answer["LogResult"]).splitlines()]
        of = {line.get("type") or line["message"]: line.get("record", line).get("tenantId") for line in lines}
        assert {"platform.start": "one", "platform.runtimeDone": "one", "platform.report": "one", "told": "one"}.items() <= of.items(), of


def test_workers_keep_tenants_apart_too(alone):
    client = client_of(alone("--workers", "2", "--placement", "spread"))
    deploy, clean = deployer(client)
    function = deploy(CODE, TenancyConfig=PER_TENANT, MemorySize=128)
    for count in (1, 2):
        for tenant in ("a", "b", "c"):
            assert function.call(TenantId=tenant)["seen"] == [tenant] * count
    clean()
