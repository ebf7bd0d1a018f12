"""Small rules of running a command, apart from the shell that runs it."""

from phonefarm.vphone.shell import syntax
from phonefarm.vphone.shell.call import Call, Command


async def reported(command: Command, call: Call) -> int:
    """Run a command; what it could not do, or could not read in its arguments, is printed and gives 1."""
    try:
        return await command(call)
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return await call.fail(f"{where}{error.strerror}")
    except (ValueError, IndexError, OverflowError) as error:
        return await call.fail(f"bad arguments: {error}")


def fails_scripts(pipeline: syntax.Pipeline) -> bool:
    """Does its failure count under ``set -e``? That of a group or a loop was counted inside it."""
    first = pipeline.stages[0]
    return len(pipeline.stages) > 1 or isinstance(first, syntax.Simple) or getattr(first, "subshell", False)


def command_redirects(command: syntax.Command) -> tuple[syntax.Redirect, ...]:
    """Redirections of a command; a function definition has none."""
    return () if isinstance(command, syntax.Function) else command.redirects
