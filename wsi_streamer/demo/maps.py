"""Maps of what lies where in a window, sampled on a coarse grid."""

from dataclasses import dataclass, fields

import numpy as np

from wsi_streamer.demo.noise import Floats

# Pixels of level 0 from point to point: structures are wider than a nucleus (12 pixels).
STEP = 4
# How far the maps reach beyond the window, in points: more than half of the largest nucleus.
PAD = 8
# How far beyond the surface of the tissue, in pixels, its rough edge may reach.
EDGE = 8


@dataclass(frozen=True)
class Maps:
    """Maps of one window and PAD points around it, all of one shape.

    depth: distance below the surface of the tissue, in pixels; negative on glass.
    gland: distance inside the nearest gland from its basement membrane; negative in the stroma.
    secretion: a number from 0 to 1 that each gland has, of what fills it.
    vessel: like gland, for blood vessels; blood: a number from 0 to 1 that each vessel has.
    flow: a coordinate across the fibres; they run along its lines of equal value.
    atypia: 0 for normal epithelium, 1 for tumour.
    muscle, fat, loose, lymph, centre: 0 to 1, how much of each there is; loose is stroma with
    clefts, centre the germinal centre of a follicle.
    tone: variation of the staining, about 1; patch: variation of the stroma, about 0.
    """

    depth: Floats
    gland: Floats
    secretion: Floats
    vessel: Floats
    blood: Floats
    flow: Floats
    atypia: Floats
    muscle: Floats
    fat: Floats
    loose: Floats
    lymph: Floats
    centre: Floats
    tone: Floats
    patch: Floats

    def or_deeper(self, other: "Maps") -> "Maps":
        """Return the maps of whichever tissue is deeper at each point."""
        mine = self.depth >= other.depth
        names = [field.name for field in fields(self)]
        return Maps(*(np.where(mine, getattr(self, name), getattr(other, name)) for name in names))
