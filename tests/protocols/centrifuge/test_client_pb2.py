"""The schema of the Centrifuge protocol, and what Protobuf's compiler has made of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from centrifuge.protocol import client_pb2 as official

from relay.protocols.centrifuge import client_pb2
from tests.protocols.centrifuge.strategies import LATER_FIELDS

ROOT = Path(__file__).resolve().parents[3]
FOLDER = Path("relay/protocols/centrifuge")


def test_what_the_compiler_has_written_is_not_out_of_date(tmp_path: Path) -> None:
    """`make protobuf` writes it anew."""
    compiler = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={ROOT}"]
    outputs = [f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    subprocess.run([*compiler, *outputs, str(ROOT / FOLDER / "client.proto")], check=True, cwd=tmp_path)
    for name in ("client_pb2.py", "client_pb2.pyi"):
        assert (ROOT / FOLDER / name).read_text() == (tmp_path / FOLDER / name).read_text()


def test_the_make_target_compiles_the_same_way() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert f"grpc_tools.protoc --proto_path=. --python_out=. --pyi_out=. {FOLDER}/client.proto" in makefile


def test_names_numbers_and_types_are_those_of_the_schema_of_centrifugos_client() -> None:
    later = set()
    for name, message in client_pb2.DESCRIPTOR.message_types_by_name.items():
        theirs = official.DESCRIPTOR.message_types_by_name[name]
        for field in message.fields:
            if field.name not in theirs.fields_by_name:
                assert field.number not in theirs.fields_by_number
                later.add(f"{name}.{field.name}")
                continue
            other = theirs.fields_by_name[field.name]
            assert (field.number, field.type, field.is_repeated) == (other.number, other.type, other.is_repeated)
            if field.message_type is not None:
                assert field.message_type.name == other.message_type.name
    assert later == LATER_FIELDS
