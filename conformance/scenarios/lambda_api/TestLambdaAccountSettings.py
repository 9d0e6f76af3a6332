"""What the account may use and what it uses."""

from harness.scenario import HANDLER, alone, zip_of


def test_account_settings(s):
    answer = s.call("get_account_settings")
    s.take("acc_settings_modded", {**answer, **{key: sorted(answer[key]) for key in ("AccountLimit", "AccountUsage")}})


@alone
def test_account_settings_total_code_size(s):
    name, layer = s.name(), s.name("layer")
    steps = [size(s)]
    code, content = sized({"handler.py": HANDLER}, 276), sized({"x.py": "x = 1\n"}, 169)
    s.function(code, FunctionName=name)
    steps.append(size(s))
    s.call("update_function_code", FunctionName=name, ZipFile=code, Publish=True)
    s.updated(name)
    steps.append(size(s))
    for _ in range(2):
        s.call("publish_layer_version", LayerName=layer, Content={"ZipFile": content})
        steps.append(size(s))
    words = ("create_function", "update_function", "publish_layer", "publish_layer_version")
    for word, before, after in zip(words, steps, steps[1:]):
        s.take(f"total_code_size_diff_{word}", after - before)


def size(s):
    return s.call("get_account_settings")["AccountUsage"]["TotalCodeSize"]


def sized(files, size):
    """A package of as many bytes as the recorded one had; a zip file may end in a comment."""
    package = zip_of(files)
    comment = size - len(package)
    assert comment >= 0, len(package)
    return package[:-2] + comment.to_bytes(2, "little") + b"\0" * comment
