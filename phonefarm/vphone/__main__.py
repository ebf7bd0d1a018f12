"""``python -m phonefarm.vphone``: run virtual phones until SIGTERM or SIGINT."""

import argparse
import asyncio
import sys
from pathlib import Path

from phonefarm.vphone.faultplan import PlanError, read_plan
from phonefarm.vphone.host import HostConfig, serve_phones


def main(argv: list[str] | None = None) -> int:
    """Run phones as the arguments say; 1 when they cannot start."""
    args = _parser().parse_args(argv)
    try:
        plan = read_plan(args.faults) if args.faults is not None else None
    except (OSError, PlanError) as error:
        sys.stderr.write(f"{args.faults}: {error}\n")
        return 1
    config = HostConfig(
        phones=args.phones,
        host=args.host,
        port_base=args.port_base,
        profile=args.profile,
        journal_dir=args.journal_dir,
        serial_prefix=args.serial_prefix,
        first_number=args.first_number,
        seed=args.seed,
        reboot_down_seconds=args.reboot_down_seconds,
        boot_seconds=args.boot_seconds,
        auth_required=args.auth,
        control_port=args.control_port,
        plan=plan,
    )
    try:
        asyncio.run(serve_phones(config, ready_file=args.ready_file))
    except OSError as error:
        sys.stderr.write(f"phones cannot start: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m phonefarm.vphone", description="Virtual Android phones over ADB")
    parser.add_argument("--phones", type=int, default=1, help="how many")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port-base", type=int, default=21000, help="port of the first phone; 0: any free ports")
    parser.add_argument("--profile", choices=("instant", "typical"), default="instant", help="how long commands take")
    parser.add_argument("--journal-dir", type=Path, default=None, help="folder for one <serialno>.jsonl a phone")
    parser.add_argument("--serial-prefix", default="VP")
    parser.add_argument("--first-number", type=int, default=1, help="number in the first serial number")
    parser.add_argument("--seed", type=int, default=1, help="decides all content")
    parser.add_argument("--ready-file", type=Path, default=None, help="gets the ready line when all listen")
    parser.add_argument("--control-port", type=int, default=None, help="JSON-lines switches; 0 lets the system choose")
    parser.add_argument("--faults", type=Path, default=None, help="YAML file of what breaks when")
    parser.add_argument("--reboot-down-seconds", type=float, default=1.0, help="time off the network in a reboot")
    parser.add_argument("--boot-seconds", type=float, default=0.5, help="time until sys.boot_completed after that")
    parser.add_argument("--auth", action="store_true", help="hosts need a key that was accepted (accept_keys)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
