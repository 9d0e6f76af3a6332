"""Functions from container images."""

from harness.scenario import HANDLER, zip_of


def test_lambda_image_crud(s):
    name, first, second = start(s, {}, "create-image-response")
    look(s, name, "")
    package = zip_of({"handler.py": HANDLER})
    s.step("image-to-zipfile-error", "update_function_code", FunctionName=name, ZipFile=package)
    s.step("update-function-code-response", "update_function_code", FunctionName=name, ImageUri=f"{second}:latest")
    s.updated(name)
    look(s, name, "-after-update")


def test_lambda_image_and_image_config_crud(s):
    image = {"Command": ["-c", "echo test"], "EntryPoint": ["sh"], "WorkingDirectory": "/app1"}
    name, *_ = start(s, {"ImageConfig": image}, "create-image-with-config-response")
    s.step("get-function-code-with-config-response", "get_function", FunctionName=name)
    s.step("get-function-config-with-config-response", "get_function_configuration", FunctionName=name)
    image = {"Command": ["-c", "echo test1"], "WorkingDirectory": "/app1"}
    update = "update_function_configuration"
    s.step("update-function-code-response", update, FunctionName=name, ImageConfig=image)
    s.updated(name)
    look(s, name, "-after-update")
    s.step("update-function-code-delete-imageconfig-response", update, FunctionName=name, ImageConfig={})
    s.updated(name)
    look(s, name, "-after-delete-imageconfig")


def start(s, args, step):
    """A function from an image; its name and two repositories. Nothing of the answers tells what the images hold."""
    name, registry = s.name(), f"{s.account}.dkr.ecr.{s.region}.amazonaws.com"
    first, second = f"{registry}/{s.name('repo')}", f"{registry}/{s.name('repo')}"
    s.given_as(repo_uri=first, repo_uri_2=second)
    s.step(
        step,
        "create_function",
        FunctionName=name,
        Role=s.role,
        PackageType="Image",
        Code={"ImageUri": f"{first}:latest"},
        Environment={"Variables": {"CUSTOM_ENV": "test"}},
        **args,
    )
    s.active(name)
    return name, first, second


def look(s, name, when):
    s.step(f"get-function-code-response{when}", "get_function", FunctionName=name)
    s.step(f"get-function-config-response{when}", "get_function_configuration", FunctionName=name)
