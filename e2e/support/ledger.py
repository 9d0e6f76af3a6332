"""A client that does random operations on names of its own and keeps a ledger of what was acknowledged.

A ledger is {key: value}: what a reader must find. Keys are tuples; those that begin with "_" are the client's own memory.
"""

import base64
import hashlib
import json
import sys

from botocore.exceptions import ClientError

from support.clients import service_of
from support.packages import zip_of

ROLE = "arn:aws:iam::000000000000:role/test"
PACKAGES = [zip_of({"app.py": f"def handler(event, context):\n    return {n}\n"}) for n in range(4)]
SHAS = [base64.b64encode(hashlib.sha256(package).digest()).decode() for package in PACKAGES]
SIDS = ("one", "two")
QUEUES = ["queue-0", "queue-1"]
SOURCES = [f"arn:aws:sqs:us-east-1:000000000000:{name}" for name in QUEUES]
NOT_YET = ("is in progress for resource", "because it is in use", "An event source mapping with SQS arn")


class Anything:
    """Stands for what only an answer would have told."""

    def __eq__(self, other):
        return True

    def __repr__(self):
        return "?"


ANYTHING = Anything()


def clients_of(server):
    """{service: client} without retries: they would hide errors."""
    return {service: service_of(server, service) for service in ("lambda", "s3", "ssm")}


class Operation:
    """One call, and what the ledger is after it; `answer` is None where none came."""

    def __init__(self, name, args, effect, service="lambda"):
        self.name, self.args, self.effect, self.service = name, args, effect, service

    def __repr__(self):
        return f"{self.name}({', '.join(f'{key}={value!r}' for key, value in self.args.items() if key not in ('Code', 'ZipFile', 'Content', 'Body'))})"

    def call(self, clients):
        while True:
            try:
                return getattr(clients[self.service], self.name)(**self.args)
            except ClientError as error:
                # Refused, so that nothing has changed: what was done before this is not effective yet.
                if not any(text in str(error) for text in NOT_YET):
                    raise

    def after(self, ledger, answer):
        ledger = dict(ledger)
        self.effect(ledger, answer)
        return ledger


class Worker:
    """Makes operations that must succeed, from what its ledger says."""

    def __init__(self, name, random):
        self.name, self.random, self.ledger, self.serial = name, random, {}, 0

    def next(self):
        makers = [
            (self.create, 3), (self.update_code, 3), (self.configure, 4), (self.publish, 6), (self.delete_function, 1),
            (self.delete_version, 2), (self.create_alias, 3), (self.update_alias, 2), (self.delete_alias, 1),
            (self.add_permission, 4), (self.remove_permission, 2), (self.reserve, 2), (self.unreserve, 1),
            (self.create_url, 2), (self.delete_url, 1), (self.put_event_config, 2), (self.tag, 2), (self.untag, 1),
            (self.provision, 2), (self.create_mapping, 2), (self.delete_mapping, 1), (self.publish_layer, 2),
            (self.delete_layer, 1), (self.share_layer, 1), (self.put_object, 3), (self.delete_object, 1),
            (self.put_parameter, 2), (self.delete_parameter, 1),
        ]
        while True:
            (maker,) = self.random.choices([maker for maker, _ in makers], [weight for _, weight in makers])
            operation = maker()
            if operation is not None:
                return operation

    def fresh(self):
        """A text that was never used before."""
        self.serial += 1
        return f"{self.name}-{self.serial}"

    def keys(self, kind, *start):
        return sorted((key for key in self.ledger if key[0] == kind and key[1 : 1 + len(start)] == start), key=repr)

    def one(self, kind, *start):
        found = self.keys(kind, *start)
        return self.random.choice(found) if found else None

    # Functions

    def create(self):
        name = self.random.choice([f"{self.name}-f{n}" for n in range(3)])
        if ("function", name) in self.ledger:
            return None
        code, publish, description = self.random.randrange(4), self.random.random() < 0.3, self.fresh()
        args = {
            "FunctionName": name, "Runtime": f"python3.{sys.version_info.minor}", "Handler": "app.handler", "Role": ROLE,
            "Code": {"ZipFile": PACKAGES[code]}, "Publish": publish, "Description": description, "Tags": {"made": "now"},
        }

        def effect(ledger, answer):
            ledger["function", name] = made = (SHAS[code], description)
            ledger["tags", name] = {"made": "now"}
            ledger["_last", name] = 0
            if publish:
                published(ledger, name, made, None)

        return Operation("create_function", args, effect)

    def update_code(self):
        function = self.one("function")
        if not function:
            return None
        code, publish = self.random.randrange(4), self.random.random() < 0.2

        def effect(ledger, answer):
            ledger[function] = after = (SHAS[code], ledger[function][1])
            if publish and ledger.get(("_published", function[1])) != after:
                published(ledger, function[1], after, None)

        return Operation("update_function_code", {"FunctionName": function[1], "ZipFile": PACKAGES[code], "Publish": publish}, effect)

    def configure(self):
        function, description = self.one("function"), self.fresh()

        def effect(ledger, answer):
            ledger[function] = (ledger[function][0], description)

        return function and Operation("update_function_configuration", {"FunctionName": function[1], "Description": description}, effect)

    def publish(self):
        function = self.one("function")
        if not function or self.ledger.get(("_published", function[1])) == self.ledger[function]:
            return None
        return Operation(
            "publish_version",
            {"FunctionName": function[1]},
            lambda ledger, answer: published(ledger, function[1], ledger[function], answer),
        )

    def delete_function(self):
        function = self.one("function")

        def effect(ledger, answer):
            # Mappings stay, as on Lambda.
            for key in [key for key in ledger if key[1] == function[1] and key[0] != "mapping"]:
                del ledger[key]

        return function and Operation("delete_function", {"FunctionName": function[1]}, effect)

    def delete_version(self):
        version = self.one("version")
        if not version or any(self.ledger[alias]["FunctionVersion"] == version[2] for alias in self.keys("alias", version[1])):
            return None

        def effect(ledger, answer):
            forget(ledger, version[1], version[2])
            if version[2] == str(ledger["_last", version[1]]):
                ledger.pop(("_published", version[1]), None)

        return Operation("delete_function", {"FunctionName": version[1], "Qualifier": version[2]}, effect)

    def create_alias(self):
        version, name = self.one("version"), self.random.choice(("blue", "green"))
        if not version or ("alias", version[1], name) in self.ledger:
            return None
        return self.alias("create_alias", version, name)

    def update_alias(self):
        alias = self.one("alias")
        return alias and self.alias("update_alias", self.one("version", alias[1]), alias[2])

    def alias(self, operation, version, name):
        def effect(ledger, answer):
            revision = answer["RevisionId"] if answer else ANYTHING
            ledger["alias", version[1], name] = {"FunctionVersion": version[2], "RevisionId": revision}

        return Operation(operation, {"FunctionName": version[1], "Name": name, "FunctionVersion": version[2]}, effect)

    def delete_alias(self):
        alias = self.one("alias")
        return alias and Operation(
            "delete_alias",
            {"FunctionName": alias[1], "Name": alias[2]},
            lambda ledger, answer: forget(ledger, alias[1], alias[2]),
        )

    # Their settings

    def owner(self, kinds=("function", "version", "alias")):
        """(name, qualifier or None) of something that bears settings."""
        owners = [key for kind in kinds for key in self.keys(kind)]
        if not owners:
            return None
        key = self.random.choice(owners)
        return key[1], (key[2] if len(key) > 2 else None)

    def add_permission(self):
        owner, sid = self.owner(), self.random.choice(SIDS)
        if not owner or sid in self.ledger.get(("policy", *owner), ()):
            return None

        def effect(ledger, answer):
            ledger["policy", *owner] = (*ledger.get(("policy", *owner), ()), sid)

        args = {"StatementId": sid, "Action": "lambda:InvokeFunction", "Principal": "*"}
        return Operation("add_permission", {**named(owner), **args}, effect)

    def remove_permission(self):
        policy = self.one("policy")
        if not policy:
            return None
        sid = self.random.choice(self.ledger[policy])

        def effect(ledger, answer):
            ledger[policy] = tuple(other for other in ledger[policy] if other != sid)
            if not ledger[policy]:
                del ledger[policy]

        return Operation("remove_permission", {**named(policy[1:]), "StatementId": sid}, effect)

    def reserve(self):
        function, number = self.one("function"), self.random.randrange(20, 40)

        def effect(ledger, answer):
            ledger["reserved", function[1]] = number

        args = {"FunctionName": function and function[1], "ReservedConcurrentExecutions": number}
        return function and Operation("put_function_concurrency", args, effect)

    def unreserve(self):
        reserved = self.one("reserved")
        return reserved and Operation(
            "delete_function_concurrency", {"FunctionName": reserved[1]}, lambda ledger, answer: ledger.pop(reserved)
        )

    def create_url(self):
        owner = self.owner(("function", "alias"))
        if not owner or ("url", *owner) in self.ledger:
            return None

        def effect(ledger, answer):
            ledger["url", *owner] = url_id(answer) if answer else ANYTHING

        return Operation("create_function_url_config", {**named(owner), "AuthType": "NONE"}, effect)

    def delete_url(self):
        url = self.one("url")
        return url and Operation("delete_function_url_config", named(url[1:]), lambda ledger, answer: ledger.pop(url))

    def put_event_config(self):
        owner, age = self.owner(), self.random.randrange(60, 100)

        def effect(ledger, answer):
            ledger["event", *owner] = age

        return owner and Operation("put_function_event_invoke_config", {**named(owner), "MaximumEventAgeInSeconds": age}, effect)

    def tag(self):
        function, value = self.one("function"), self.fresh()

        def effect(ledger, answer):
            ledger["tags", function[1]] = {**ledger["tags", function[1]], "tag": value}

        return function and Operation("tag_resource", {"Resource": arn(function[1]), "Tags": {"tag": value}}, effect)

    def untag(self):
        function = self.one("function")

        def effect(ledger, answer):
            ledger["tags", function[1]] = {key: value for key, value in ledger["tags", function[1]].items() if key != "tag"}

        return function and Operation("untag_resource", {"Resource": arn(function[1]), "TagKeys": ["tag"]}, effect)

    def provision(self):
        version, number = self.one("version"), self.random.randrange(1, 4)
        # Aliases that are provisioned exclude their versions: only versions are.
        if not version:
            return None

        def effect(ledger, answer):
            ledger["provisioned", version[1], version[2]] = number

        args = {**named(version[1:]), "ProvisionedConcurrentExecutions": number}
        return Operation("put_provisioned_concurrency_config", args, effect)

    def create_mapping(self):
        function, source = self.one("function"), self.random.choice(SOURCES)
        if not function or ("mapping", function[1], source) in self.ledger:
            return None

        def effect(ledger, answer):
            ledger["mapping", function[1], source] = answer["UUID"] if answer else ANYTHING

        return Operation("create_event_source_mapping", {"FunctionName": function[1], "EventSourceArn": source}, effect)

    def delete_mapping(self):
        mapping = self.one("mapping")
        return mapping and Operation(
            "delete_event_source_mapping", {"UUID": self.ledger[mapping]}, lambda ledger, answer: ledger.pop(mapping)
        )

    # Layers

    def publish_layer(self):
        layer, code = self.random.choice([f"{self.name}-l{n}" for n in range(2)]), self.random.randrange(4)

        def effect(ledger, answer):
            number = ledger.get(("_last-layer", layer), 0) + 1
            assert answer is None or answer["Version"] == number, f"{layer} {answer['Version']} after {number - 1}"
            ledger["_last-layer", layer] = number
            ledger["layer", layer, number] = (SHAS[code], ())

        return Operation("publish_layer_version", {"LayerName": layer, "Content": {"ZipFile": PACKAGES[code]}}, effect)

    def delete_layer(self):
        layer = self.one("layer")
        args = layer and {"LayerName": layer[1], "VersionNumber": layer[2]}
        return layer and Operation("delete_layer_version", args, lambda ledger, answer: ledger.pop(layer))

    def share_layer(self):
        layer, sid = self.one("layer"), self.random.choice(SIDS)
        if not layer or sid in self.ledger[layer][1]:
            return None

        def effect(ledger, answer):
            sha, sids = ledger[layer]
            ledger[layer] = (sha, (*sids, sid))

        args = {"LayerName": layer[1], "VersionNumber": layer[2], "StatementId": sid, "Action": "lambda:GetLayerVersion", "Principal": "*"}
        return Operation("add_layer_version_permission", args, effect)

    # Beside Lambda

    def put_object(self):
        bucket, key, content = f"{self.name}-bucket", f"k{self.random.randrange(4)}", self.random.randbytes(self.random.randrange(100_000))
        if ("bucket", bucket) not in self.ledger:
            return Operation("create_bucket", {"Bucket": bucket}, lambda ledger, answer: ledger.update({("bucket", bucket): ""}), "s3")

        def effect(ledger, answer):
            ledger["object", bucket, key] = hashlib.sha256(content).hexdigest()

        return Operation("put_object", {"Bucket": bucket, "Key": key, "Body": content}, effect, "s3")

    def delete_object(self):
        found = self.one("object")
        args = found and {"Bucket": found[1], "Key": found[2]}
        return found and Operation("delete_object", args, lambda ledger, answer: ledger.pop(found), "s3")

    def put_parameter(self):
        name, value = f"{self.name}-p{self.random.randrange(3)}", self.fresh()

        def effect(ledger, answer):
            _, version = ledger.get(("parameter", name), ("", 0))
            assert answer is None or answer["Version"] == version + 1, f"{name} {answer['Version']} after {version}"
            ledger["parameter", name] = (value, version + 1)

        return Operation("put_parameter", {"Name": f"/{name}", "Value": value, "Type": "String", "Overwrite": True}, effect, "ssm")

    def delete_parameter(self):
        found = self.one("parameter")
        return found and Operation("delete_parameter", {"Name": f"/{found[1]}"}, lambda ledger, answer: ledger.pop(found), "ssm")


def published(ledger, name, version, answer):
    number = ledger["_last", name] + 1
    assert answer is None or answer["Version"] == str(number), f"{name} {answer['Version']} after {number - 1}"
    ledger["_last", name] = number
    ledger["_published", name] = version
    ledger["version", name, str(number)] = version


def forget(ledger, name, qualifier):
    """A version or an alias goes with its settings; an alias' URL stays, as on Lambda, and mappings have none here."""
    for key in [key for key in ledger if key[1:] == (name, qualifier) and key[0] not in ("mapping", "url")]:
        del ledger[key]


def named(owner):
    name, qualifier = owner
    return {"FunctionName": name, "Qualifier": qualifier} if qualifier else {"FunctionName": name}


def arn(name):
    return f"arn:aws:lambda:us-east-1:000000000000:function:{name}"


def read(clients):
    """All that there is, as a ledger without memory: by the lists, in short pages, and by each single reading."""
    return {**read_lambda(clients["lambda"]), **read_s3(clients["s3"]), **read_ssm(clients["ssm"])}


def read_s3(client):
    found = {}
    for bucket in (item["Name"] for item in client.list_buckets()["Buckets"]):
        found["bucket", bucket] = ""
        for item in client.list_objects_v2(Bucket=bucket).get("Contents", []):
            content = client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
            found["object", bucket, item["Key"]] = hashlib.sha256(content).hexdigest()
    return found


def read_ssm(client):
    pages = client.get_paginator("get_parameters_by_path").paginate(Path="/", Recursive=True, PaginationConfig={"PageSize": 2})
    return {("parameter", item["Name"][1:]): (item["Value"], item["Version"]) for page in pages for item in page["Parameters"]}


def read_lambda(client):
    found = {}

    def listed(operation, member, **args):
        return [item for page in client.get_paginator(operation).paginate(**args, PaginationConfig={"PageSize": 2}) for item in page.get(member, [])]

    for name in (item["FunctionName"] for item in listed("list_functions", "Functions")):
        whole = client.get_function(FunctionName=name)
        found["function", name] = version_of(whole["Configuration"])
        found["tags", name] = whole.get("Tags", {})
        if "Concurrency" in whole:
            found["reserved", name] = whole["Concurrency"]["ReservedConcurrentExecutions"]
        qualifiers = [None]
        for version in listed("list_versions_by_function", "Versions", FunctionName=name)[1:]:
            found["version", name, version["Version"]] = version_of(client.get_function_configuration(FunctionName=name, Qualifier=version["Version"]))
            qualifiers.append(version["Version"])
        for alias in listed("list_aliases", "Aliases", FunctionName=name):
            found["alias", name, alias["Name"]] = {member: alias[member] for member in ("FunctionVersion", "RevisionId")}
            qualifiers.append(alias["Name"])
        for qualifier in qualifiers:
            try:
                policy = json.loads(client.get_policy(**named((name, qualifier)))["Policy"])
                found["policy", name, qualifier] = tuple(statement["Sid"] for statement in policy["Statement"])
            except client.exceptions.ResourceNotFoundException:
                pass
        for url in listed("list_function_url_configs", "FunctionUrlConfigs", FunctionName=name):
            found["url", name, qualifier_of(url)] = url_id(url)
        for config in listed("list_function_event_invoke_configs", "FunctionEventInvokeConfigs", FunctionName=name):
            found["event", name, qualifier_of(config)] = config["MaximumEventAgeInSeconds"]
        for config in listed("list_provisioned_concurrency_configs", "ProvisionedConcurrencyConfigs", FunctionName=name):
            found["provisioned", name, qualifier_of(config)] = config["RequestedProvisionedConcurrentExecutions"]
    for mapping in listed("list_event_source_mappings", "EventSourceMappings"):
        if mapping["State"] == "Deleting":
            continue
        found["mapping", mapping["FunctionArn"].split(":")[6], mapping["EventSourceArn"]] = mapping["UUID"]
    for layer in (item["LayerName"] for item in listed("list_layers", "Layers")):
        for number in (item["Version"] for item in listed("list_layer_versions", "LayerVersions", LayerName=layer)):
            sha = client.get_layer_version(LayerName=layer, VersionNumber=number)["Content"]["CodeSha256"]
            try:
                policy = json.loads(client.get_layer_version_policy(LayerName=layer, VersionNumber=number)["Policy"])
                sids = tuple(statement["Sid"] for statement in policy["Statement"])
            except client.exceptions.ResourceNotFoundException:
                sids = ()
            found["layer", layer, number] = (sha, sids)
    return found


def version_of(configuration):
    assert (configuration["State"], configuration["LastUpdateStatus"]) == ("Active", "Successful"), configuration
    return configuration["CodeSha256"], configuration["Description"]


def url_id(url):
    """The first label: the rest is the server's address, which another start changes."""
    return url["FunctionUrl"].removeprefix("http://").split(".")[0]


def qualifier_of(item):
    """Of a FunctionArn; None where there is none."""
    words = item["FunctionArn"].split(":")
    return words[7] if len(words) > 7 and words[7] != "$LATEST" else None
