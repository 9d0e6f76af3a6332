"""Layers: versions, functions that use them, policies."""

from harness.scenario import HANDLER, zip_of

LAYER = zip_of({"python/testlib.py": "def greet():\n    return 'hello'\n"})
ACTION = "lambda:GetLayerVersion"


def test_layer_function_quota_exception(s):
    layers = []
    for _ in range(6):
        made = s.call("publish_layer_version", LayerName=s.name("layer"), Content={"ZipFile": LAYER})
        layers.append(made["LayerVersionArn"])
    fixed = {"Runtime": "python3.12", "Handler": "handler.handler", "Role": s.role}
    code = {"ZipFile": zip_of({"handler.py": HANDLER})}
    s.step("create_function_with_six_layers", "create_function", FunctionName=s.name(), Code=code, Layers=layers, **fixed)


def test_layer_lifecycle(s):
    name, layer = s.name(), s.name("layer")
    s.function(FunctionName=name)
    s.step("get_fn_result", "get_function", FunctionName=name)
    s.step("get_fn_config_result", "get_function_configuration", FunctionName=name)
    s.given_as(description="A test layer", license_info="MIT")
    publish = {
        "LayerName": layer,
        "Description": "A test layer",
        "LicenseInfo": "MIT",
        "Content": {"ZipFile": LAYER},
        "CompatibleRuntimes": ["python3.12"],
        "CompatibleArchitectures": ["x86_64"],
    }
    made = s.step("publish_result", "publish_layer_version", **publish)
    s.step("publish_result_2", "publish_layer_version", **publish)
    arn = made["LayerVersionArn"]
    s.step("update_fn_config", "update_function_configuration", FunctionName=name, Layers=[arn])
    s.updated(name)
    s.step("get_fn_config", "get_function_configuration", FunctionName=name)
    s.step("get_layer_ver_result", "get_layer_version", LayerName=layer, VersionNumber=1)
    s.step("get_layer_by_arn_version", "get_layer_version_by_arn", Arn=arn)
    s.step("list_layer_versions_predelete", "list_layer_versions", LayerName=layer)
    s.step("delete_layer_1", "delete_layer_version", LayerName=layer, VersionNumber=1)
    s.step("get_fn_config_postdelete", "get_function_configuration", FunctionName=name)
    s.step("delete_layer_2", "delete_layer_version", LayerName=layer, VersionNumber=2)
    s.step("list_layer_versions_postdelete", "list_layer_versions", LayerName=layer)
    s.step("publish_result_3", "publish_layer_version", **publish)


def test_layer_policy_exceptions(s):
    layer = s.name("layer")
    compatible = {"CompatibleRuntimes": ["python3.12"], "CompatibleArchitectures": ["x86_64"]}
    s.step("publish_result", "publish_layer_version", LayerName=layer, Content={"ZipFile": LAYER}, **compatible)

    def get(step, layer=layer, version=1):
        s.step(f"layer_permission_{step}", "get_layer_version_policy", LayerName=layer, VersionNumber=version)

    def add(step, sid, layer=layer, version=1, action=ACTION, **args):
        place = {"LayerName": layer, "VersionNumber": version}
        s.step(step, "add_layer_version_permission", **place, StatementId=sid, Action=action, Principal="*", **args)

    def remove(step, sid, layer=layer, version=1, **args):
        place = {"LayerName": layer, "VersionNumber": version}
        s.step(f"layer_permission_{step}", "remove_layer_version_permission", **place, StatementId=sid, **args)

    get("nopolicy_get")
    add("add_layer_permission_result", "s1")
    add("layer_permission_action_invalid", "s2", action="*")
    add("layer_permission_duplicate_statement", "s1")
    add("layer_permission_wrong_revision", "s2", RevisionId="wrong")
    unknown = f"{layer}-doesnotexist"
    add("layer_permission_layername_doesnotexist_add", "s2", layer=unknown)
    get("layername_doesnotexist_get", layer=unknown)
    remove("layername_doesnotexist_remove", "s2", layer=unknown)
    add("layer_permission_layerversion_doesnotexist_add", "s2", version=2)
    get("layerversion_doesnotexist_get", version=2)
    remove("layerversion_doesnotexist_remove", "s2", version=2)
    remove("statementid_doesnotexist_remove", "doesnotexist")
    remove("wrong_revision_remove", "s1", RevisionId="wrong")


def test_layer_s3_content(s):
    bucket = s.bucket({"layer.zip": LAYER})
    content = {"S3Bucket": bucket, "S3Key": "layer.zip"}
    s.step("publish_layer_result", "publish_layer_version", LayerName=s.name("layer"), Content=content)
