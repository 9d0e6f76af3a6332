"""Tags on everything that can have them."""

import uuid

TAGS = {"testtag": "custom-value"}


def test_create_tag_on_esm_create(s):
    s.given_as(custom_tag=TAGS["testtag"])
    mapping = event_source_mapping(s, Tags=TAGS)
    arn = mapping["EventSourceMappingArn"]
    read = s.call("get_event_source_mapping", UUID=mapping["UUID"])
    s.take("get_event_source_mapping_with_tag", read["EventSourceMappingArn"] == arn)
    s.step("list_tags_result", "list_tags", Resource=arn)


def test_create_tag_on_fn_create(s):
    s.given_as(custom_tag=TAGS["testtag"])
    created = s.function(Tags=TAGS)
    s.step("get_function_result", "get_function", FunctionName=created["FunctionName"])
    s.step("list_tags_result", "list_tags", Resource=created["FunctionArn"])


def test_tag_exceptions(s, kind):
    name = str(uuid.uuid4()) if kind == "event_source_mapping" else s.name()
    s.given_as(resource_name=name)
    word = {"lambda_function": "function"}.get(kind, kind.replace("_", "-"))
    arn = f"arn:aws:lambda:{s.region}:{s.account}:{word}:{name}"
    s.step("not_found_exception_tag", "tag_resource", Resource=arn, Tags={"A": "B"})
    s.step("not_found_exception_untag", "untag_resource", Resource=arn, TagKeys=["A"])
    s.step("not_found_exception_list", "list_tags", Resource=arn)
    s.step("aliased_arn_exception", "tag_resource", Resource=f"{arn}:alias", Tags={"A": "B"})
    arn = f"arn:aws:lambda:{s.region}:{s.account}:foobar:{name}"
    s.step("invalid_arn_exception", "tag_resource", Resource=arn, Tags={"A": "B"})


def test_tag_lifecycle(s, kind):
    arn = s.function()["FunctionArn"] if kind == "lambda_function" else event_source_mapping(s)["EventSourceMappingArn"]
    for step, tags in (
        ("tag_single", {"A": "tag-a"}),
        ("tag_multiple", {"B": "tag-b", "C": "tag-c"}),
        ("tag_overlap", {"C": "tag-c-newsuffix", "D": "tag-d"}),
    ):
        s.step(f"{step}_response", "tag_resource", Resource=arn, Tags=tags)
        s.step(f"{step}_response_listtags", "list_tags", Resource=arn)
    for step, keys in (
        ("untag_single", ["A"]),
        ("untag_multiple", ["B", "C"]),
        ("untag_nonexisting", ["F"]),
        ("untag_existing_and_nonexisting", ["D", "F"]),
    ):
        s.step(f"{step}_response", "untag_resource", Resource=arn, TagKeys=keys)
        s.step(f"{step}_response_listtags", "list_tags", Resource=arn)


def test_tag_nonexisting_resource(s):
    created = s.function()
    name, arn = created["FunctionName"], created["FunctionArn"]
    s.step("pre_delete_get_function", "get_function", FunctionName=name)
    s.call("delete_function", FunctionName=name)
    s.step("not_found_exception_tag", "tag_resource", Resource=arn, Tags={"A": "B"})
    s.step("not_found_exception_untag", "untag_resource", Resource=arn, TagKeys=["A"])
    s.step("not_found_exception_list", "list_tags", Resource=arn)


def event_source_mapping(s, **args):
    function = s.function()["FunctionName"]
    return s.call("create_event_source_mapping", FunctionName=function, EventSourceArn=s.queue(), BatchSize=1, **args)
