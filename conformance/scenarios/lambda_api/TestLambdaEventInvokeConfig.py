"""How asynchronous invokes are handled: attempts, age, destinations."""


def test_lambda_eventinvokeconfig_exceptions(s):
    name, alias = s.name(), "eventinvokealias"
    arn = s.function(FunctionName=name)["FunctionArn"]
    other = s.function()["FunctionArn"]
    unknown = arn.replace(name, "doesnotexist")
    s.step("fn_version_result", "publish_version", FunctionName=name)
    made = s.step("fn_alias_result", "create_alias", FunctionName=name, Name=alias, FunctionVersion="1")

    put(s, "functionname_name_notfound", "doesnotexist", MaximumRetryAttempts=1)
    put(s, "functionname_arn_notfound", unknown, MaximumRetryAttempts=1)
    put(s, "functionname_nootherargs", name)
    destinations(s, name, arn, other, unknown)
    names_and_qualifiers(s, name, alias, made["AliasArn"])

    put(s, "maxevent_maxvalue_result", name, MaximumRetryAttempts=2, MaximumEventAgeInSeconds=21600)
    put(s, "pre_overwrite", name, MaximumRetryAttempts=2, MaximumEventAgeInSeconds=60)
    put(s, "post_overwrite", name, MaximumRetryAttempts=0)
    change = {"FunctionName": name, "MaximumRetryAttempts": 0}
    s.step("second_overwrite_existing_response", "put_function_event_invoke_config", **change)
    s.step("get_post_overwrite", "get_function_event_invoke_config", FunctionName=name)
    before = {"FunctionName": name, "MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 60}
    s.step("pre_update_response", "put_function_event_invoke_config", **before)
    s.step("update_response", "update_function_event_invoke_config", **change)
    s.step("update_response_existing", "update_function_event_invoke_config", **change)
    s.step("list_configs", "list_function_event_invoke_configs", FunctionName=name)
    deletions(s, name, alias)


def destinations(s, name, arn, other, unknown):
    def send(step, config):
        put(s, f"destination_{step}", name, DestinationConfig=config)

    send("lambda_doesntexist", {"OnSuccess": {"Destination": unknown}})
    send("recursive", {"OnSuccess": {"Destination": arn}})
    send("other_lambda", {"OnSuccess": {"Destination": other}})
    send("invalid_service_arn", {"OnSuccess": {"Destination": arn.replace(":lambda:", ":iam:")}})
    send("success_no_destination_arn", {"OnSuccess": {}})
    send("failure_no_destination_arn", {"OnFailure": {}})
    send("invalid_arn_pattern", {"OnFailure": {"Destination": arn.replace(":lambda:", ":_-/!lambda:")}})


def names_and_qualifiers(s, name, alias, alias_arn):
    def one_attempt(step, name, qualifier=None):
        given = {"Qualifier": qualifier} if qualifier else {}
        put(s, step, name, MaximumRetryAttempts=1, **given)

    one_attempt("destination_latest", name)
    one_attempt("destination_latest_explicit_qualifier", name, "$LATEST")
    one_attempt("destination_version", name, "1")
    one_attempt("alias_functionname_qualifier", name, alias)
    one_attempt("alias_doesnotexist", name, "doesnotexist")
    one_attempt("alias_qualifiedarn", alias_arn)
    one_attempt("alias_qualifiedarn_qualifier", alias_arn, alias)
    one_attempt("alias_qualifiedarn_qualifierconflict", alias_arn, "$LATEST")
    one_attempt("alias_shorthand", f"{name}:{alias}")
    one_attempt("alias_shorthand_qualifier", f"{name}:{alias}", alias)
    one_attempt("alias_shorthand_qualifierconflict", f"{name}:{alias}", "$LATEST")
    one_attempt("version_shorthand", f"{name}:1")
    one_attempt("shorthand_qualifier_match", f"{name}:$LATEST", "$LATEST")
    one_attempt("shorthand_qualifier_mismatch_1", f"{name}:1", "$LATEST")
    one_attempt("shorthand_qualifier_mismatch_2", f"{name}:$LATEST", "1")
    one_attempt("shorthand_qualifier_mismatch_3", f"{name}:$LATEST", alias)


def deletions(s, name, alias):
    delete, get = "delete_function_event_invoke_config", "get_function_event_invoke_config"
    update, list_ = "update_function_event_invoke_config", "list_function_event_invoke_configs"
    s.step("delete_latest", delete, FunctionName=name)
    s.step("delete_version", delete, FunctionName=name, Qualifier="1")
    s.step("delete_alias", delete, FunctionName=name, Qualifier=alias)
    s.step("list_configs_postdelete", list_, FunctionName=name)
    s.step("delete_function_not_found", delete, FunctionName=name)
    s.step("delete_function_doesnotexist", delete, FunctionName="doesnotexist")
    s.step("list_function_doesnotexist", list_, FunctionName="doesnotexist")
    s.step("get_function_doesnotexist", get, FunctionName="doesnotexist")
    s.step("get_qualifier_doesnotexist", get, FunctionName=name, Qualifier="doesnotexist")
    step = "update_eventinvokeconfig_function_doesnotexist"
    s.step(step, update, FunctionName="doesnotexist", MaximumRetryAttempts=0)
    s.step("get_eventinvokeconfig_doesnotexist", get, FunctionName=name, Qualifier=alias)
    step = "update_eventinvokeconfig_config_doesnotexist_with"
    s.step(f"{step}_qualifier", update, FunctionName=name, Qualifier=alias, MaximumRetryAttempts=0)
    s.step(f"{step}out_qualifier", update, FunctionName=name, MaximumRetryAttempts=0)


def test_lambda_eventinvokeconfig_lifecycle(s):
    name = s.name()
    s.function(FunctionName=name)
    get, update = "get_function_event_invoke_config", "update_function_event_invoke_config"
    list_ = "list_function_event_invoke_configs"
    put(s, "invokeconfig_retries_0", name, MaximumRetryAttempts=0)
    put(s, "invokeconfig_eventage_60", name, MaximumEventAgeInSeconds=60)
    s.step("update_invokeconfig_eventage_nochange", update, FunctionName=name, MaximumEventAgeInSeconds=60)
    s.step("update_invokeconfig_retries", update, FunctionName=name, MaximumRetryAttempts=1)
    s.step("get_invokeconfig", get, FunctionName=name)
    s.step("get_invokeconfig_latest", get, FunctionName=name, Qualifier="$LATEST")
    s.step("list_single_invokeconfig", list_, FunctionName=name)
    s.step("publish_version_result", "publish_version", FunctionName=name)
    s.step("get_invokeconfig_postpublish", get, FunctionName=name, Qualifier="1")
    put(s, "published_invokeconfig", name, Qualifier="1", MaximumEventAgeInSeconds=120)
    s.step("get_published_invokeconfig", get, FunctionName=name, Qualifier="1")
    s.call("delete_function_event_invoke_config", FunctionName=name)
    s.step("list_paging_nolimit_postdelete", list_, FunctionName=name)


def put(s, step, name, **args):
    s.step(f"put_{step}", "put_function_event_invoke_config", FunctionName=name, **args)
