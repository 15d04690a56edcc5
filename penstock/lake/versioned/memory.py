"""Avro files in memory, as pyiceberg's writers and readers want them: they get their names once their content is known.

Imports pyiceberg as it is imported itself: import it where it is used.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile, OutputStream


class Kept(io.BytesIO):
    """A stream whose content outlives it."""

    content: bytes = b""

    def close(self) -> None:
        """Keep the content, then close."""
        if not self.closed:
            self.content = self.getvalue()
        super().close()


class MemoryInput(InputFile):
    """Content that was read already."""

    def __init__(self, location: str, content: bytes) -> None:
        super().__init__(location)
        self.content = content

    def __len__(self) -> int:
        return len(self.content)

    def exists(self) -> bool:
        """It does."""
        return True

    def open(self, seekable: bool = True) -> InputStream:  # noqa: ARG002
        """A stream of the content."""
        return io.BytesIO(self.content)


class MemoryOutput(OutputFile):
    """A file that is written in memory; ``location`` may be said later."""

    def __init__(self) -> None:
        super().__init__("memory:")
        self.stream = Kept()

    def __len__(self) -> int:
        return len(self.stream.content)

    @property
    def location(self) -> str:
        """Where the content is kept."""
        return self._location

    @location.setter
    def location(self, value: str) -> None:
        self._location = value

    def exists(self) -> bool:
        """Not before it is written."""
        return False

    def to_input_file(self) -> InputFile:
        """The same content, to read."""
        return MemoryInput(self._location, self.stream.content)

    def create(self, overwrite: bool = False) -> OutputStream:  # noqa: ARG002
        """A stream to write to."""
        self.stream = Kept()
        return self.stream


class MemoryIO(FileIO):
    """Reads the files it was given and no others."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        super().__init__()
        self.contents = contents

    def new_input(self, location: str) -> InputFile:
        """The file, to read."""
        return MemoryInput(location, self.contents[location])

    def new_output(self, location: str) -> OutputFile:
        """Nothing is written here."""
        raise NotImplementedError(location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Nothing is deleted here."""
        raise NotImplementedError(location)
