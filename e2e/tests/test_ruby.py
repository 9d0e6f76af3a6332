"""Ruby functions, on whichever Ruby the machine has: the server is told that it stands in."""

import base64
import json
import shutil

import pytest

from conftest import client_of, deployer
from support.packages import zip_of
from support.server import running

RUNTIME = "ruby3.3"
RUBY = shutil.which("ruby", path="/usr/bin")


@pytest.fixture(scope="module")
def lambda_():
    if RUBY is None:
        pytest.skip("no Ruby")
    with running("--runtime", f"{RUNTIME}={RUBY}") as server:
        yield client_of(server)


@pytest.fixture
def ruby(lambda_):
    deploy, clean = deployer(lambda_)
    yield lambda code, **args: deploy({"app.rb": code} if isinstance(code, str) else code, **{"Runtime": RUNTIME, **args})
    clean()


def test_events_and_answers(ruby):
    function = ruby("def handler(event:, context:) = {echo: event, name: context.function_name}", MemorySize=128)
    for event in ({"a": ["ü", None, 1.5]}, "text", 7):
        assert function.call(event) == {"echo": event, "name": function.name}


def test_a_tenant(ruby):
    function = ruby("def handler(event:, context:) = context.tenant_id", TenancyConfig={"TenantIsolationMode": "PER_TENANT"}, MemorySize=128)
    assert [function.call(TenantId=tenant) for tenant in ("a", "b", "a")] == ["a", "b", "a"]


def test_an_idle_environment_and_one_started_ahead_see_the_same(ruby):
    code = "def handler(event:, context:) = ENV.to_h.merge('pid' => Process.pid, 'path' => $LOAD_PATH, 'dir' => Dir.pwd)"
    seen = [ruby(code, FunctionName=f"same{n}").call() for n in range(3)]
    for one in seen:
        for name in ("pid", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "_X_AMZN_TRACE_ID"):
            one.pop(name)
        for name in [name for name in one if name.startswith(("AWS_ACCESS", "AWS_SECRET", "AWS_SESSION"))]:
            one.pop(name)
    assert seen[0] == seen[1] == seen[2]
    assert seen[0]["AWS_EXECUTION_ENV"] == f"AWS_Lambda_{RUNTIME}" and seen[0]["dir"] == "/var/task"
    assert seen[0]["GEM_PATH"].startswith("/var/task/vendor/bundle/ruby/3.3.0:/opt/ruby/gems/3.3.0:/var/runtime")
    assert seen[0]["PATH"].startswith("/var/lang/bin:/var/lang/bin:/usr/local/bin")


def test_the_standard_library_is_there(ruby):
    libraries = "bigdecimal csv date digest erb etc fiddle json net/http openssl optparse psych securerandom set socket stringio time timeout uri yaml zlib"
    code = f"%w[{libraries}].each {{ |name| require name }}\nrequire 'open3'\n" "def handler(event:, context:) = [Digest::SHA256.hexdigest('x')[0, 4], {a: 1}.to_yaml, Open3.capture2('echo', 'hi')[0], 'ü'.encoding.name, Encoding.default_external.name]\n"
    assert ruby(code).call() == ["2d71", "---\n:a: 1\n", "hi\n", "UTF-8", "UTF-8"]


def test_gems_of_the_package_and_of_layers(ruby, lambda_):
    def gem(name, version):
        spec = f"Gem::Specification.new {{ |s| s.name = '{name}'; s.version = '{version}'; s.summary = s.authors = 'x'; s.files = [] }}"
        return {f"specifications/{name}-{version}.gemspec": spec, f"gems/{name}-{version}/lib/{name}.rb": f"module {name.capitalize()}; V = '{version}'; end"}

    def below(folder, files):
        return {f"{folder}/{path}": content for path, content in files.items()}

    layer = below("ruby/gems/3.3.0", gem("lamp", "1.2.3")) | {"ruby/lib/torch.rb": "TORCH = 'lib'"}
    arn = lambda_.publish_layer_version(LayerName="gems", Content={"ZipFile": zip_of(layer)})["LayerVersionArn"]
    code = {"app.rb": "require 'lamp'; require 'torch'; require 'own'\ndef handler(event:, context:) = [Lamp::V, TORCH, Own::V]"}
    function = ruby(code | below("vendor/bundle/ruby/3.3.0", gem("own", "0.1")), Layers=[arn])
    assert function.call() == ["1.2.3", "lib", "0.1"]


def test_errors(ruby):
    error = ruby("def handler(event:, context:)\n  raise 'broken'\nend").error()
    assert (error["errorMessage"], error["errorType"]) == ("broken", "Function<RuntimeError>")
    assert len(error["stackTrace"]) == 1 and error["stackTrace"][0].startswith("/var/task/app.rb:2:in "), error
    assert ruby("require 'nowhere'").error()["errorType"] == "Init<LoadError>"
    assert ruby("def handler(event:, context:) = exit(3)").error()["errorMessage"].endswith("Runtime exited with error: exit status 3")
    assert ruby("def handler(event:, context:) = sleep", Timeout=1).error()["errorType"] == "Sandbox.Timedout"


def test_logs(ruby):
    code = "require 'logger'\ndef handler(event:, context:)\n  puts 'to', 'log'\n  Logger.new($stdout).info('told')\nend"
    answer = ruby(code).invoke(LogType="Tail")
    text = base64.b64decode(answer["LogResult"]).decode()
    assert "\nto\nlog\n" in text and f" INFO {answer['ResponseMetadata']['RequestId']} -- : told\n" in text, text


def test_a_wrapper_script(ruby):
    wrapper = ("#!/bin/bash\nexport WRAPPED=\"$*\"\nexec \"$@\"\n", 0o755)
    function = ruby({"app.rb": "def handler(event:, context:) = ENV['WRAPPED']", "wrap": wrapper}, Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/wrap"}})
    assert function.call() == "/var/lang/bin/ruby /var/runtime/bootstrap.rb"


def test_a_runtime_without_its_interpreter_says_so(ruby):
    error = ruby("def handler(event:, context:) = 1", Runtime="ruby3.4").error()
    assert error["errorType"] == "Runtime.InvalidRuntime" and "--runtime ruby3.4=" in error["errorMessage"], json.dumps(error)
