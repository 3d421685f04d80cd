# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep what Ansible compiles for the scenarios' next runs.

Each process that Ansible starts for a task loads the filters and compiles the templates of its variables again, each
run builds its modules again, and each module compiles its utilities again on the host: a large part of a run's time.
Ansible has no option for it, so this reaches into it. The bytecode is what Python would make of the same source.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import marshal
import os
import py_compile
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import jinja2
from ansible import constants
from ansible._internal._templating._jinja_bits import (
    _TEMPLATE_OVERRIDE_FIELD_NAMES,
    AnsibleEnvironment,
    _TemplateCompileContext,
)
from ansible.executor.module_common import _CachedModule
from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import filter_loader
from ansible.release import __version__
from ansible.utils.collection_loader import AnsibleCollectionConfig

DOCUMENTATION = """
name: controller_cache
type: aggregate
short_description: Keep compiled templates and modules for the next run
description: Keeps compiled templates, and modules with their bytecode, in .cache of this checkout.
requirements: [to be enabled]
"""

PROJECT = Path(__file__).parents[3]
CACHE = PROJECT / ".cache" / "controller"
CRYPTO_FILTERS = ("openssl_csr_info", "openssl_privatekey_info", "split_pem", "x509_certificate_info")


def digest(*parts: object) -> str:
    """Name what depends on these values, and on the versions of Ansible, Jinja and Python."""
    return hashlib.sha256(repr((__version__, jinja2.__version__, sys.version, parts)).encode()).hexdigest()


def load_filters() -> None:
    """Load the filters once, before Ansible starts a process for each task."""
    for file in PROJECT.glob("plugins/filter/*.py"):
        filter_loader.get(f"campus.flask_sso.{file.stem}")
    for name in CRYPTO_FILTERS:
        filter_loader.get(f"community.crypto.{name}")


def keep_compiled_templates(directory: Path) -> None:
    """Let Ansible's templates take their code from a directory, if it is there."""
    directory.mkdir(parents=True, exist_ok=True)
    compile_template = AnsibleEnvironment.compile

    def cached(self: AnsibleEnvironment, source: Any, *options: Any, **named: Any) -> CodeType:
        # An expression comes as a syntax tree, not as text.
        if options or named or not isinstance(source, str):
            return compile_template(self, source, *options, **named)
        context = _TemplateCompileContext.current(optional=True)
        syntax = [getattr(self, field) for field in _TEMPLATE_OVERRIDE_FIELD_NAMES]
        file = directory / digest(str(source), syntax, context and context.escape_backslashes)
        try:
            return marshal.loads(file.read_bytes())  # noqa: S302 - this class wrote it
        except FileNotFoundError:
            code = compile_template(self, source)
            with tempfile.NamedTemporaryFile(dir=directory, delete=False) as part:
                part.write(marshal.dumps(code))
            os.replace(part.name, file)
            return code

    AnsibleEnvironment.compile = cached


def module_sources() -> Iterator[tuple[str, int, int]]:
    """Find all files of collections that modules are made of, with size and time of the last change."""
    for root in AnsibleCollectionConfig.collection_paths:
        for file in sorted(Path(root).glob("ansible_collections/*/*/plugins/module*/**/*.py")):
            stat = file.stat()
            yield str(file), stat.st_size, stat.st_mtime_ns


def with_bytecode(module: bytes) -> bytes:
    """Add the bytecode of each Python file to a module's archive, which Python takes without a look at the source."""
    archive = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(module)) as read,
        zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as written,
        tempfile.TemporaryDirectory() as directory,
    ):
        source, compiled = Path(directory, "source.py"), Path(directory, "source.pyc")
        for name in read.namelist():
            source.write_bytes(read.read(name))
            mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
            py_compile.compile(str(source), str(compiled), name, doraise=True, invalidation_mode=mode)
            written.write(source, name)
            written.write(compiled, f"{name}c")
    return archive.getvalue()


def keep_built_modules(directory: Path) -> None:
    """Let Ansible take its modules from a directory, with their bytecode."""
    directory.mkdir(parents=True, exist_ok=True)
    Path(constants.DEFAULT_LOCAL_TMP, "ansiballz_cache").symlink_to(directory)
    dump = _CachedModule.dump

    def compiled(self: _CachedModule, path: str) -> None:
        module = with_bytecode(base64.b64decode(self.zip_data))
        dump(dataclasses.replace(self, zip_data=base64.b64encode(module)), path)

    _CachedModule.dump = compiled


class CallbackModule(CallbackBase):
    """No event matters, only that this is loaded."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "controller_cache"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        load_filters()
        keep_compiled_templates(CACHE / "templates")
        keep_built_modules(CACHE / "modules" / digest(*module_sources()))
