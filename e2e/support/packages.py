"""Packages made in memory."""

import base64
import hashlib
import io
import stat
import zipfile


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
