"""Lists stay whole while what they list comes and goes: each page follows the last, nothing is left out, nothing twice."""

import itertools
from dataclasses import dataclass
from typing import Callable

import pytest
from botocore import xform_name

from conftest import unique
from support.errors import refused
from support.packages import zip_of
from support.sources import gone, queue_beside

CODE = "def handler(event, context):\n    return 'one'\n"
PACKAGE = zip_of({"app.py": CODE})
ACCOUNT = "us-east-1:000000000000"


@dataclass
class Listing:
    """What one list operation lists; `add` makes such an item and says what it is called there, `remove` takes it away."""

    result: str
    identity: Callable
    add: Callable
    remove: Callable
    args: dict


LISTINGS = {}


def listing(operation):
    """Names the operation, as the service model does, that lists what the function below gives."""

    def keep(make):
        LISTINGS[make.__name__] = (operation, make)
        return make

    return keep


@listing("ListFunctions")
def functions(client, deploy):
    def add(label):
        deploy(PACKAGE, FunctionName=label)
        return label

    return Listing("Functions", lambda f: f["FunctionName"], add, lambda name: client.delete_function(FunctionName=name), {})


@listing("ListFunctions")
def functions_and_versions(client, deploy):
    function = f"arn:aws:lambda:{ACCOUNT}:function:"

    def add(label):
        deploy(PACKAGE, FunctionName=label, Publish=True)
        return f"{function}{label}:1"

    def remove(arn):
        client.delete_function(FunctionName=arn)

    return Listing("Functions", lambda f: f["FunctionArn"], add, remove, {"FunctionVersion": "ALL"})


@listing("ListVersionsByFunction")
def versions(client, deploy):
    function = deploy(CODE)

    def add(label):
        function.update(Description=label)
        return client.publish_version(FunctionName=function.name)["Version"]

    def remove(version):
        client.delete_function(FunctionName=function.name, Qualifier=version)

    return Listing("Versions", lambda v: v["Version"], add, remove, {"FunctionName": function.name})


def aliases_of(client, function):
    def add(label):
        return client.create_alias(FunctionName=function.name, Name=label, FunctionVersion="1")["Name"]

    return add, lambda name: client.delete_alias(FunctionName=function.name, Name=name)


def published(client, deploy):
    function = deploy(CODE)
    client.publish_version(FunctionName=function.name)
    return function


@listing("ListAliases")
def aliases(client, deploy):
    function = published(client, deploy)
    return Listing("Aliases", lambda a: a["Name"], *aliases_of(client, function), {"FunctionName": function.name})


@listing("ListAliases")
def aliases_of_a_version(client, deploy):
    function = published(client, deploy)
    args = {"FunctionName": function.name, "FunctionVersion": "1"}
    return Listing("Aliases", lambda a: a["Name"], *aliases_of(client, function), args)


@listing("ListLayers")
def layers(client, deploy):
    def add(label):
        client.publish_layer_version(LayerName=label, Content={"ZipFile": PACKAGE})
        return label

    def remove(name):
        client.delete_layer_version(LayerName=name, VersionNumber=1)

    return Listing("Layers", lambda layer: layer["LayerName"], add, remove, {})


@listing("ListLayerVersions")
def layer_versions(client, deploy):
    name = unique("l")

    def add(label):
        return client.publish_layer_version(LayerName=name, Content={"ZipFile": PACKAGE}, Description=label)["Version"]

    def remove(number):
        client.delete_layer_version(LayerName=name, VersionNumber=number)

    return Listing("LayerVersions", lambda v: v["Version"], add, remove, {"LayerName": name})


def by_alias(client, deploy, result, put, delete):
    """Settings that an alias has: one alias each."""
    function = published(client, deploy)
    create, _ = aliases_of(client, function)

    def add(label):
        create(label)
        put(FunctionName=function.name, Qualifier=label)
        return label

    def remove(label):
        delete(FunctionName=function.name, Qualifier=label)

    return Listing(result, lambda item: item["FunctionArn"].rsplit(":", 1)[1], add, remove, {"FunctionName": function.name})


@listing("ListFunctionEventInvokeConfigs")
def event_invoke_configs(client, deploy):
    put = lambda **args: client.put_function_event_invoke_config(MaximumRetryAttempts=1, **args)
    delete = client.delete_function_event_invoke_config
    return by_alias(client, deploy, "FunctionEventInvokeConfigs", put, delete)


@listing("ListFunctionUrlConfigs")
def urls(client, deploy):
    put = lambda **args: client.create_function_url_config(AuthType="NONE", **args)
    delete = client.delete_function_url_config
    return by_alias(client, deploy, "FunctionUrlConfigs", put, delete)


@listing("ListProvisionedConcurrencyConfigs")
def provisioned(client, deploy):
    put = lambda **args: client.put_provisioned_concurrency_config(ProvisionedConcurrentExecutions=1, **args)
    delete = client.delete_provisioned_concurrency_config
    return by_alias(client, deploy, "ProvisionedConcurrencyConfigs", put, delete)


@listing("ListEventSourceMappings")
def mappings(client, deploy):
    function = deploy(CODE)

    def add(label):
        source = queue_beside(client, label)
        return client.create_event_source_mapping(FunctionName=function.name, EventSourceArn=source, Enabled=False)["UUID"]

    def remove(uuid):
        client.delete_event_source_mapping(UUID=uuid)
        gone(client, uuid)

    return Listing("EventSourceMappings", lambda m: m["UUID"], add, remove, {"FunctionName": function.name})


def signing(client):
    profiles = {"SigningProfileVersionArns": [f"arn:aws:signer:{ACCOUNT}:/signing-profiles/p/1"]}
    return client.create_code_signing_config(AllowedPublishers=profiles)["CodeSigningConfig"]["CodeSigningConfigArn"]


@listing("ListCodeSigningConfigs")
def code_signing_configs(client, deploy):
    def remove(arn):
        client.delete_code_signing_config(CodeSigningConfigArn=arn)

    return Listing("CodeSigningConfigs", lambda config: config["CodeSigningConfigArn"], lambda label: signing(client), remove, {})


@listing("ListFunctionsByCodeSigningConfig")
def signed_functions(client, deploy):
    config = {"CodeSigningConfigArn": signing(client)}

    def add(label):
        deploy(PACKAGE, FunctionName=label, **config)
        return f"arn:aws:lambda:{ACCOUNT}:function:{label}"

    def remove(arn):
        client.delete_function(FunctionName=arn)

    return Listing("FunctionArns", lambda arn: arn, add, remove, config)


class Churn:
    """What is added and removed between pages, beside what stays. Labels sort before, among and after those that stay."""

    ROUNDS = 5

    def __init__(self, listing):
        self.listing, self.prefix = listing, unique("l")
        self.counts = itertools.count()
        self.stays = {self.add(f"m{n}") for n in range(6)}
        self.goes = {self.add(f"m{n}-x") for n in range(6)}

    def add(self, label):
        return self.listing.add(f"{self.prefix}-{label}")

    def remove(self, item):
        self.goes.discard(item)
        self.listing.remove(item)

    def after(self, shown):
        """The page's last item goes, if it may: the next page must find its place without it."""
        count = next(self.counts)
        if shown[-1] in self.goes:
            self.remove(shown[-1])
        unseen = [item for item in self.goes if item not in shown]
        if unseen:
            self.remove(unseen[0])
        if count < self.ROUNDS:
            self.goes |= {self.add(f"a{count}"), self.add(f"m3-y{count}"), self.add(f"z{count}")}

    def clean(self):
        for item in self.stays | self.goes:
            self.listing.remove(item)


def listed(client, deploy, name):
    """The client's method, and what it lists."""
    operation, make = LISTINGS[name]
    return getattr(client, xform_name(operation)), make(client, deploy)


@pytest.mark.parametrize("name", LISTINGS)
def test_pages_are_whole_while_others_write(client, deploy, name):
    call, listing = listed(client, deploy, name)
    churn, seen, marker = Churn(listing), [], {}
    while marker is not None:
        page = call(**listing.args, **marker, MaxItems=2)
        shown = [listing.identity(item) for item in page[listing.result]]
        assert len(shown) <= 2
        seen += shown
        marker = {"Marker": page["NextMarker"]} if page.get("NextMarker") else None
        if shown and marker:
            churn.after(shown)
    assert len(seen) == len(set(seen)), f"twice: {seen}"
    assert churn.stays <= set(seen), f"left out: {churn.stays - set(seen)}"
    churn.clean()


@pytest.mark.parametrize("name", LISTINGS)
def test_a_marker_is_of_a_list(client, deploy, name):
    call, listing = listed(client, deploy, name)
    assert refused(call, **listing.args, Marker="!")[:2] == (400, "InvalidParameterValueException")
    for most in (0, -1):
        assert refused(call, **listing.args, MaxItems=most)[:2] == (400, "ValidationException")


# Nothing is listed here yet.
EMPTY = {
    "ListCapacityProviders",
    "ListFunctionVersionsByCapacityProvider",
    "GetDurableExecutionHistory",
    "GetDurableExecutionState",
    "ListDurableExecutionsByFunction",
}


def test_every_list_of_the_sdk_is_tested(client):
    """Also those that a later SDK has."""
    lists = {name for method, name in client.meta.method_to_api_mapping.items() if client.can_paginate(method)}
    assert lists == {operation for operation, _ in LISTINGS.values()} | EMPTY
