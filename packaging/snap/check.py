"""Hold a snapcraft.yaml against the libraries that snapcraft reads it with: snap.sh."""
import sys
from typing import Any
from typing import Dict
from typing import List
from typing import Literal
from typing import Optional

import craft_application
import craft_parts
import yaml
from craft_application.models import CraftBaseModel
from craft_application.models import Project


class Content(CraftBaseModel):
    """A slot of the content interface, as Certbot's snap looks for it."""

    interface: Literal["content"]
    content: Literal["certbot-1"]
    read: List[str]


class PluginSnap(Project):
    """A plugin snap: what a snap has beyond what all crafts share, as far as we use it."""

    base: Literal["core24"]
    confinement: Literal["strict", "devmode"]
    grade: Literal["stable", "devel"]
    platforms: Optional[Dict[str, Any]]
    slots: Dict[str, Content]


def main() -> None:
    """Read the file that is named, or fail with what is wrong in it."""
    with open(sys.argv[1], encoding="utf-8") as file:
        snap = PluginSnap.unmarshal(yaml.safe_load(file))
    for part in snap.parts.values():
        craft_parts.validate_part(part)
    print(f"{sys.argv[1]}: no faults (craft-application {craft_application.__version__}, "
          f"craft-parts {craft_parts.__version__})")


if __name__ == "__main__":
    main()
