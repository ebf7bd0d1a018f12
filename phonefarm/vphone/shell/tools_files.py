"""Small programs that work on files and folders."""

import posixpath
import re
import time

from phonefarm.vphone.fs import S_IFCHR, S_IFDIR, S_IFLNK, Node
from phonefarm.vphone.shell.call import Call, Command

_KINDS = {S_IFDIR: "d", S_IFLNK: "l", S_IFCHR: "c"}


def mode_text(mode: int) -> str:
    """``-rw-rw----`` and the like."""
    bits = "".join(letter if mode & (1 << (8 - i)) else "-" for i, letter in enumerate("rwxrwxrwx"))
    return _KINDS.get(mode & 0o170000, "-") + bits


def _split(args: list[str]) -> tuple[str, list[str]]:
    """All option letters as one string, and the other arguments."""
    letters = "".join(arg[1:] for arg in args if arg.startswith("-") and len(arg) > 1)
    return letters, [arg for arg in args if not arg.startswith("-") or arg == "-"]


async def ls(call: Call) -> int:
    """``ls [-l] [-a] [-A] [-d] [-1] [-R] [-t] [-r] [paths]``."""
    options, paths = _split(call.args)
    rc = 0
    for path in paths or ["."]:
        full = posixpath.normpath(call.shell.absolute(path))
        node = call.fs.find(full, follow="l" not in options or path.endswith("/"))
        if node is None:
            rc = await call.fail(f"{path}: No such file or directory")
        elif node.children is None or "d" in options:
            await call.out(_line(path, node, options))
        else:
            await _list_tree(call, path, node, options, titled=len(paths) > 1)
    return rc


async def _list_tree(call: Call, path: str, node: Node, options: str, *, titled: bool) -> None:
    """A folder and, with ``-R``, all below it."""
    await _list_folder(call, path, node, options, titled=titled or "R" in options)
    for name, child in sorted((node.children or {}).items()) if "R" in options else []:
        if child.is_dir:
            await call.out("\n")
            await _list_tree(call, f"{path.rstrip('/')}/{name}", child, options, titled=True)


async def _list_folder(call: Call, path: str, node: Node, options: str, *, titled: bool) -> None:
    children = node.children or {}
    if titled:
        await call.out(f"{path}:\n")
    if "l" in options:
        await call.out(f"total {sum((child.size + 4095) // 4096 * 4 for child in children.values())}\n")
    shown = [(".", node), ("..", node)] if "a" in options else []
    ordered = sorted(children.items(), key=lambda pair: -pair[1].mtime) if "t" in options else sorted(children.items())
    ordered = ordered[::-1] if "r" in options else ordered
    shown += [(n, c) for n, c in ordered if "a" in options or "A" in options or not n.startswith(".")]
    for name, child in shown:
        await call.out(_line(name, child, options))


def _line(name: str, node: Node, options: str) -> str:
    if "l" not in options:
        return f"{name}\n"
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(node.mtime))
    links = 2 if node.is_dir else 1
    arrow = f" -> {node.target}" if node.target is not None else ""
    return f"{mode_text(node.mode)} {links} shell shell {node.size:>4} {when} {name}{arrow}\n"


async def rm(call: Call) -> int:
    """``rm [-f] [-r] paths``."""
    options, paths = _split(call.args)
    rc = 0
    for path in paths:
        full = call.shell.absolute(path)
        if call.fs.find(full, follow=False) is None:
            if "f" not in options:
                rc = await call.fail(f"{path}: No such file or directory")
            continue
        try:
            call.fs.remove(full, recursive="r" in options or "R" in options)
        except OSError as error:
            rc = await call.fail(f"{path}: {error.strerror}")
    return rc


async def mkdir(call: Call) -> int:
    """``mkdir [-p] [-m mode] folders``."""
    options, paths = _split(call.args)
    paths = paths[1:] if "m" in options else paths
    for path in paths:
        try:
            make = call.fs.make_dirs if "p" in options else call.fs.make_dir
            make(call.shell.absolute(path))
        except OSError as error:
            return await call.fail(f"'{path}': {error.strerror}")
    return 0


async def rmdir(call: Call) -> int:
    """``rmdir folders``."""
    for path in call.args:
        if call.fs.children(call.shell.absolute(path)):
            return await call.fail(f"'{path}': Directory not empty")
        call.fs.remove(call.shell.absolute(path), recursive=True)
    return 0


async def cp(call: Call) -> int:
    """``cp [-r] from.. to``."""
    options, paths = _split(call.args)
    if len(paths) < 2:
        return await call.fail("Need 2 arguments")
    for path in paths[:-1]:
        target = _target(call, path, paths[-1])
        node = call.fs.get(call.shell.absolute(path))
        if node.is_dir and "r" not in options and "a" not in options:
            return await call.fail(f"Skipped dir '{path}'")
        _copy(call, call.shell.absolute(path), target)
    return 0


def _copy(call: Call, source: str, target: str) -> None:
    node = call.fs.get(source)
    if node.children is None:
        call.fs.write(target, node.content(), mode=node.mode)
        return
    call.fs.make_dirs(target)
    for name in list(node.children):
        _copy(call, f"{source}/{name}", f"{target}/{name}")


def _target(call: Call, source: str, target: str) -> str:
    full = call.shell.absolute(target)
    node = call.fs.find(full)
    return posixpath.join(full, posixpath.basename(source.rstrip("/"))) if node is not None and node.is_dir else full


async def mv(call: Call) -> int:
    """``mv from.. to``."""
    _, paths = _split(call.args)
    if len(paths) < 2:
        return await call.fail("Need 2 arguments")
    for path in paths[:-1]:
        call.fs.move(call.shell.absolute(path), _target(call, path, paths[-1]))
    return 0


async def ln(call: Call) -> int:
    """``ln -s target link``."""
    options, paths = _split(call.args)
    if "s" not in options or len(paths) != 2:
        return await call.fail("only 'ln -s target link' works here")
    call.fs.link(paths[0], call.shell.absolute(paths[1]))
    return 0


async def touch(call: Call) -> int:
    """``touch files``."""
    for path in _split(call.args)[1]:
        call.fs.open_write(call.shell.absolute(path), append=True)
    return 0


async def chmod(call: Call) -> int:
    """``chmod mode files`` with an octal mode or ``+x``."""
    _, paths = _split(call.args)
    for path in paths[1:]:
        node = call.fs.get(call.shell.absolute(path))
        if re.fullmatch(r"[0-7]{3,4}", paths[0]):
            node.mode = (node.mode & 0o170000) | int(paths[0], 8)
        elif "x" in paths[0]:
            node.mode = node.mode & ~0o111 if "-" in paths[0] else node.mode | 0o111
    return 0


async def stat(call: Call) -> int:
    """``stat [-c format] files`` with ``%s %Y %a %n %F``."""
    args = list(call.args)
    template = ""
    if args[:1] == ["-c"]:
        template, args = args[1], args[2:]
    for path in args:
        node = call.fs.get(call.shell.absolute(path))
        kind = "directory" if node.is_dir else "regular file"
        values = {"%s": str(node.size), "%Y": str(int(node.mtime)), "%n": path, "%F": kind}
        values["%a"] = f"{node.mode & 0o7777:o}"
        default = f"  File: {path}\n  Size: {node.size}\t {kind}\nAccess: ({values['%a']}/{mode_text(node.mode)})"
        await call.out(re.sub(r"%[sYnFa]", lambda m: values[m.group()], template or default) + "\n")  # noqa: B023
    return 0


async def du(call: Call) -> int:
    """``du [-s] [-k] paths``: kilobytes."""
    for path in _split(call.args)[1] or ["."]:
        node = call.fs.get(call.shell.absolute(path))
        await call.out(f"{_total(node) // 1024}\t{path}\n")
    return 0


def _total(node: Node) -> int:
    return (node.size + 4095) // 4096 * 4096 + sum(_total(child) for child in (node.children or {}).values())


async def find(call: Call) -> int:
    """``find [folders] [-name pattern] [-type f|d]``."""
    args = list(call.args)
    tests: dict[str, str] = {}
    roots = []
    while args:
        arg = args.pop(0)
        if arg in ("-name", "-type", "-maxdepth") and args:
            tests[arg] = args.pop(0)
        elif not arg.startswith("-"):
            roots.append(arg)
    for root in roots or ["."]:
        await _find(call, root, call.fs.get(call.shell.absolute(root)), tests)
    return 0


async def _find(call: Call, path: str, node: Node, tests: dict[str, str]) -> None:
    import fnmatch

    named = fnmatch.fnmatchcase(posixpath.basename(path), tests.get("-name", "*"))
    if named and tests.get("-type", "d" if node.is_dir else "f") == ("d" if node.is_dir else "f"):
        await call.out(f"{path}\n")
    for name, child in sorted((node.children or {}).items()):
        await _find(call, f"{path.rstrip('/')}/{name}", child, tests)


async def readlink(call: Call) -> int:
    """``readlink [-f] path`` and ``realpath path``."""
    options, paths = _split(call.args)
    for path in paths:
        full = call.shell.absolute(path)
        if call.name == "realpath" or "f" in options:
            await call.out(call.fs.resolve(full) + "\n")
        else:
            node = call.fs.get(full, follow=False)
            if node.target is None:
                return 1
            await call.out(f"{node.target}\n")
    return 0


TOOLS: dict[str, Command] = {
    "ls": ls,
    "rm": rm,
    "mkdir": mkdir,
    "rmdir": rmdir,
    "cp": cp,
    "mv": mv,
    "ln": ln,
    "touch": touch,
    "chmod": chmod,
    "stat": stat,
    "du": du,
    "find": find,
    "readlink": readlink,
    "realpath": readlink,
}
