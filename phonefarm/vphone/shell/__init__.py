"""A POSIX-subset shell on asyncio: parser, word expansion, streaming pipes, builtins and small tools."""
