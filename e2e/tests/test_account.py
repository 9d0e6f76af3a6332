"""GetAccountSettings: what the account may have, and what it uses of that."""

from conftest import client_of, deployer
from support.packages import zip_of

CODE = "def handler(event, context):\n    return 'one'\n"


def test_the_account_counts_each_package_of_each_version(alone):
    client = client_of(alone("--concurrency", "500"))
    deploy, _ = deployer(client)
    package, larger = zip_of({"app.py": CODE}), zip_of({"app.py": CODE, "data.txt": "x" * 10_000 + CODE})

    def used():
        usage = client.get_account_settings()["AccountUsage"]
        return usage["FunctionCount"], usage["TotalCodeSize"]

    assert used() == (0, 0)
    function = deploy(package)
    deploy(package)
    assert used() == (2, 2 * len(package))
    client.publish_version(FunctionName=function.name)
    function.update(Description="another")
    assert used() == (2, 3 * len(package))
    client.update_function_code(FunctionName=function.name, ZipFile=larger)
    function.ready()
    assert used() == (2, 2 * len(package) + len(larger))
    client.publish_layer_version(LayerName="l", Content={"ZipFile": larger})
    client.delete_function(FunctionName=function.name)
    assert used() == (1, len(package) + len(larger))


def test_reserved_concurrency_is_taken_from_the_accounts(alone):
    client = client_of(alone("--concurrency", "500"))
    function = deployer(client)[0](CODE)
    limit = client.get_account_settings()["AccountLimit"]
    assert (limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]) == (500, 500)
    assert (limit["CodeSizeZipped"], limit["CodeSizeUnzipped"], limit["TotalCodeSize"]) == (52_428_800, 262_144_000, 80_530_636_800)
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=30)
    limit = client.get_account_settings()["AccountLimit"]
    assert (limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]) == (500, 470)
    client.delete_function_concurrency(FunctionName=function.name)
    assert client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == 500
