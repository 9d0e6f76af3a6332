"""Packages made in memory."""

import base64
import hashlib
import importlib.metadata
import io
import json
import re
import stat
import zipfile
from pathlib import Path


def zip_of(files, mode=0o644):
    """A zip of {path: text or bytes}; a path ending in "/" is a folder. Values may be (content, mode)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            content, bits = content if isinstance(content, tuple) else (content, mode)
            info = zipfile.ZipInfo(path, (2024, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            kind = stat.S_IFDIR if path.endswith("/") else stat.S_IFREG
            info.external_attr = (kind | bits) << 16
            archive.writestr(info, content)
    return out.getvalue()


def zip_entries(entries):
    """A zip of (ZipInfo, bytes), for what a well-meaning writer would not write."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, content in entries:
            archive.writestr(info, content)
    return out.getvalue()


def entry(name, mode=stat.S_IFREG | 0o644, **attributes):
    """A ZipInfo with Unix mode bits."""
    info = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
    info.create_system = 3
    info.external_attr = mode << 16
    for key, value in attributes.items():
        setattr(info, key, value)
    return info


def link(name, target):
    """The (ZipInfo, bytes) of a symbolic link."""
    return entry(name, stat.S_IFLNK | 0o777), target.encode()


def sha256(data):
    """As the member CodeSha256 shows it."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def python_packages(*names, without=()):
    """The files of installed distributions and of all that they need, as a function's package has them."""
    files, seen, wanted = {}, set(without), list(names)
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        found = importlib.metadata.distribution(name)
        for file in found.files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                files[str(file)] = (file.locate().read_bytes(), 0o755 if file.suffix == ".so" else 0o644)
        for requirement in found.requires or ():
            bare = re.match(r"[\w.-]+", requirement)[0]
            if ";" not in requirement and not any(known == bare for known in seen):
                wanted.append(bare)
    return files


def node_packages(modules, *names):
    """The same of modules in a flat `node_modules` folder."""
    files, seen, wanted = {}, set(), list(names)
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        folder = Path(modules) / name
        for path in folder.rglob("*"):
            if path.is_file():
                files[f"node_modules/{name}/{path.relative_to(folder)}"] = path.read_bytes()
        wanted += json.loads((folder / "package.json").read_text()).get("dependencies", {})
    return files


def boto(services):
    """boto3 for these services, as a layer has it: the whole of it has over 20,000 files."""
    files = {}
    for name in ("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3"):
        for path in importlib.metadata.files(name):
            parts = path.parts
            is_data = parts[:2] in (("botocore", "data"), ("boto3", "data"))
            if ".." in parts or path.suffix == ".pyc" or (is_data and len(parts) > 3 and parts[2] not in services):
                continue
            files[f"python/{path}"] = path.locate().read_bytes()
    return files
