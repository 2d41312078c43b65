"""Pictures as notebooks show them: PNG files in memory, by name."""

from base64 import b64encode
from dataclasses import dataclass
from html import escape
from pathlib import Path

from lenssim.errors import StorageError

__all__ = ["Picture", "Pictures"]


@dataclass(frozen=True, repr=False)
class Picture:
    """A figure as the bytes of a PNG file; a notebook shows it.

    Attributes:
        png: The bytes.
    """

    png: bytes

    def save(self, path: Path | str) -> Path:
        """Write the picture into a file.

        Args:
            path: The file; its folder is made.

        Returns:
            The path.

        Raises:
            StorageError: The file cannot be written.
        """
        from lenssim.data.format.files import make_folder, write

        file = Path(path)
        make_folder(file.parent)
        write(file, self.png)
        return file

    def __repr__(self) -> str:
        return f"Picture of {len(self.png):,} bytes; .save(path) writes it"

    def _repr_png_(self) -> bytes:
        return self.png


class Pictures(dict[str, Picture]):
    """Pictures by name; a notebook shows them one below another.

    Example:
        >>> Pictures({"cdm": Picture(b"...")})
        Pictures: cdm
    """

    def save(self, folder: Path | str) -> list[Path]:
        """Write every picture into a folder, as `<name>.png`.

        Args:
            folder: The folder; it is made.

        Returns:
            The files.

        Raises:
            StorageError: A file cannot be written.
        """
        try:
            return [
                picture.save(Path(folder) / f"{name}.png") for name, picture in self.items()
            ]
        except StorageError as error:
            raise StorageError(
                f"the pictures cannot be kept in {folder}; choose another folder by --out\n"
                f"{error}",
                code="write-failed",
                target=folder,
            ) from None

    def __repr__(self) -> str:
        return f"Pictures: {', '.join(self)}"

    def _repr_html_(self) -> str:
        return "".join(
            f'<img alt="{escape(name)}" src="data:image/png;base64,'
            f'{b64encode(picture.png).decode()}"/><br/>'
            for name, picture in self.items()
        )
