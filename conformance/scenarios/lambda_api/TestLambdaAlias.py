"""Aliases: their life, names, weights."""

from harness.scenario import zip_of

INDEX = zip_of({"index.py": "def handler(event, context):\n    return event\n"})


def test_alias_lifecycle(s):
    name = s.name()
    function(s, name)
    two_versions(s, name)
    weights = {"AdditionalVersionWeights": {"2": 0.2}}
    make(s, "create_alias_1_1", name, "aliasname1_1", RoutingConfig=weights, Description="custom-alias")
    s.step("get_alias_1_1", "get_alias", FunctionName=name, Name="aliasname1_1")
    arn = f"arn:aws:lambda:{s.region}:{s.account}:function:{name}"
    s.step("get_function_alias_1_1", "get_function", FunctionName=name, Qualifier="aliasname1_1")
    s.step("get_function_byarn_alias_1_1", "get_function", FunctionName=f"{arn}:aliasname1_1")
    s.step("get_function_alias_notfound_exc", "get_function", FunctionName=name, Qualifier="aliasdoesnotexist")
    s.step("get_function_alias_byarn_notfound_exc", "get_function", FunctionName=f"{arn}:aliasdoesnotexist")
    make(s, "create_alias_1_2", name, "aliasname1_2", Description="custom-alias")
    s.step("get_alias_1_2", "get_alias", FunctionName=name, Name="aliasname1_2")
    make(s, "create_alias_1_3", name, "aliasname1_3")
    s.step("get_alias_1_3", "get_alias", FunctionName=name, Name="aliasname1_3")
    make(s, "create_alias_2", name, "aliasname2", version="2", Description="custom-alias")
    s.step("get_alias_2", "get_alias", FunctionName=name, Name="aliasname2")
    pages = s.lambda_.get_paginator("list_aliases").paginate(FunctionName=name, PaginationConfig={"PageSize": 2})
    s.take("list_aliases_for_fnname", pages.build_full_result())
    for end, routing in (("1_1", {}), ("1_2", {"AdditionalVersionWeights": {}})):
        alias, list_end = f"aliasname{end}", "" if end == "1_1" else "_2"
        s.step(f"update_alias_{end}", "update_alias", FunctionName=name, Name=alias, RoutingConfig=routing)
        s.step(f"get_alias_{end}_after_update", "get_alias", FunctionName=name, Name=alias)
        s.step(f"list_aliases_for_fnname_after_update{list_end}", "list_aliases", FunctionName=name)
    s.step("list_aliases_for_version", "list_aliases", FunctionName=name, FunctionVersion="1")
    s.step("delete_alias_response", "delete_alias", FunctionName=name, Name="aliasname1_1")
    s.step("list_aliases_for_fnname_afterdelete", "list_aliases", FunctionName=name)


def test_alias_naming(s):
    name = s.name()
    function(s, name)
    s.step("publish_v1", "publish_version", FunctionName=name)
    make(s, "create_alias_date", name, "2024-01-02", Description="custom-alias")
    s.step("get_alias_date", "get_alias", FunctionName=name, Name="2024-01-02")
    make(s, "create_alias_number_exception", name, "2024", Description="custom-alias")


def test_non_existent_alias_deletion(s):
    name = s.name()
    function(s, name)
    s.step("delete_alias_response", "delete_alias", FunctionName=name, Name="non-existent")


def test_notfound_and_invalid_routingconfigs(s):
    name = s.name()
    function(s, name, Publish=True)
    two_versions(s, name)

    def refused(step, version, weights, function=name):
        make(s, step, function, "custom", version, RoutingConfig={"AdditionalVersionWeights": weights})

    refused("routing_config_exc_toomany", "1", {"1": 0.5, "2": 0.5})
    refused("routing_config_exc_toohigh", "1", {"2": 2.0})
    refused("routing_config_exc_subzero", "1", {"2": -1.0})
    refused("routing_config_exc_sameversion", "1", {"1": 0.5})
    refused("target_version_doesnotexist", "10", {"2": 0.5})
    refused("routing_config_exc_version_doesnotexist", "1", {"10": 0.5})
    refused("target_version_exc_version_latest", "$LATEST", {"1": 0.5})
    refused("routing_config_exc_version_latest", "1", {"$LATEST": 0.5})
    make(s, "create-alias-latest", name, "custom-latest", "$LATEST")
    refused("routing_config_exc_fn_doesnotexist", "1", {"2": 0.5}, function=f"{name}-unknown")
    make(s, "create_alias_empty_routingconfig", name, "custom-empty-routingconfig", RoutingConfig={})
    make(s, "create_alias_response", name, "custom", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
    refused("routing_config_exc_already_exist", "1", {"2": 0.5})
    s.step("alias_does_not_exist_esc", "get_alias", FunctionName=name, Name="non-existent")


def make(s, step, function, alias, version="1", **args):
    s.step(step, "create_alias", FunctionName=function, Name=alias, FunctionVersion=version, **args)


def function(s, name, **args):
    s.step(
        "create_response",
        "create_function",
        FunctionName=name,
        Runtime="python3.12",
        Handler="index.handler",
        Role=s.role,
        Code={"ZipFile": INDEX},
        Environment={"Variables": {"testenv": "staging"}},
        **args,
    )
    s.active(name)


def two_versions(s, name):
    s.step("publish_v1", "publish_version", FunctionName=name)
    s.call("update_function_configuration", FunctionName=name, Environment={"Variables": {"testenv": "prod"}})
    s.updated(name)
    s.step("publish_v2", "publish_version", FunctionName=name)
