"""What a function registers to run before its snapshot is taken, and after each restore."""
_before_snapshot, _after_restore = [], []


def register_before_snapshot(func, *args, **kwargs):
    """Runs before the snapshot; what was registered last runs first."""
    _before_snapshot.append((func, args, kwargs))
    return func


def register_after_restore(func, *args, **kwargs):
    """Runs after each restore; what was registered first runs first."""
    _after_restore.append((func, args, kwargs))
    return func


def get_before_snapshot():
    return _before_snapshot


def get_after_restore():
    return _after_restore
