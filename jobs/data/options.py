"""Parameters that describe a file, shared by the jobs ``load_events`` and ``import_catalog``."""

from pydantic import Field

from shared.clients import sources
from shared.job import Parameters
from shared.tables.csv_files import TextOptions, text_options


class TableParameters(Parameters):
    """A file and its format. Options that are omitted are detected from the file."""

    source: str = Field(
        min_length=1, max_length=2000, description="gs://, s3://, https://; locally also a file's absolute path"
    )
    format: sources.Format | None = Field(
        None, description="csv, jsonl, xml or parquet; by default, from the file name's extension"
    )
    columns: str | None = Field(
        None,
        max_length=5000,
        description="FIELD:COLUMN pairs, as in external_id:Handle,name:Title, for columns without a usual name",
    )
    separator: str | None = Field(None, max_length=10, description="separator of a CSV's cells: a character, or tab")
    encoding: str | None = Field(None, max_length=50, description="encoding of a text file, such as windows-1252")
    decimal: str | None = Field(None, max_length=1, description="decimal mark of a CSV's numbers: . or ,")

    def text_options(self) -> TextOptions:
        """Return the options of a text file. Raises InvalidRequest."""
        return text_options(self.separator, self.encoding, self.decimal)
