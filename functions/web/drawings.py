"""The parts of the drawn pictures: backgrounds, and objects around the point (0, 0).

A colour is named by its place in a palette (functions/web/illustrations.py).
"""

from typing import Final

# 600 by 600
BACKGROUNDS: Final = (
    '<circle cx="300" cy="270" r="235" fill="ground"/>',
    '<path d="M0 430 C150 330 300 480 600 360 V600 H0Z" fill="ground"/><circle cx="470" cy="120" r="70" '
    'fill="ground"/>',
    '<rect x="75" y="45" width="450" height="450" rx="225" fill="ground"/><circle cx="90" cy="90" r="26" '
    'fill="accent" opacity=".35"/><circle cx="520" cy="430" r="38" fill="accent" opacity=".3"/>',
    '<path d="M300 20 L580 270 L300 520 L20 270Z" fill="ground"/>',
    '<path d="M60 480 V290 A240 240 0 0 1 540 290 V480Z" fill="ground"/>',
    '<g fill="ground"><circle cx="190" cy="200" r="150"/><circle cx="400" cy="190" r="160"/><circle '
    'cx="300" cy="340" r="170"/></g>',
    '<g fill="none" stroke="ground" stroke-width="26"><circle cx="300" cy="270" r="110"/><circle '
    'cx="300" cy="270" r="170"/><circle cx="300" cy="270" r="230"/></g>',
    '<g stroke="ground" stroke-width="30"><path d="M-20 140 L160 -40"/><path d="M-20 320 L340 '
    '-40"/><path d="M-20 500 L520 -40"/><path d="M100 560 L640 20"/><path d="M280 560 L640 '
    '200"/></g><circle cx="300" cy="270" r="200" fill="ground"/>',
)

# within about 150 of (0, 0)
OBJECTS: Final = {
    "bag": '<path d="M-60 -45 C-60 -145 60 -145 60 -45" fill="none" stroke="text" stroke-width="14"/><path '
    'd="M-115 -50 H115 L135 130 H-135Z" fill="object"/><path d="M-122 10 H122 L127 50 H-127Z" '
    'fill="accent"/>',
    "book": '<rect x="-105" y="-130" width="210" height="265" rx="12" fill="object"/><path d="M-75 -130 V135" '
    'stroke="text" stroke-width="8" opacity=".4"/><rect x="-45" y="-85" width="115" height="70" rx="8" '
    'fill="light"/><path d="M-25 -60 H50 M-25 -38 H25" stroke="accent" stroke-width="8"/>',
    "bottle": '<rect x="-26" y="-150" width="52" height="40" rx="8" fill="text"/><path d="M-24 -110 H24 V-60 C75 '
    '-35 80 -5 80 30 V115 Q80 140 55 140 H-55 Q-80 140 -80 115 V30 C-80 -5 -75 -35 -24 -60Z" '
    'fill="object"/><rect x="-80" y="30" width="160" height="60" fill="light" opacity=".85"/><circle '
    'cx="0" cy="60" r="16" fill="accent"/>',
    "box": '<rect x="-120" y="-50" width="240" height="180" rx="10" fill="object"/><rect x="-135" y="-90" '
    'width="270" height="56" rx="10" fill="accent"/><rect x="-20" y="-90" width="40" height="220" '
    'fill="light"/><path d="M0 -90 C-90 -170 -100 -80 0 -90 C100 -80 90 -170 0 -90Z" fill="none" '
    'stroke="text" stroke-width="12"/>',
    "cake": '<rect x="-125" y="20" width="250" height="100" rx="14" fill="object"/><rect x="-85" y="-60" '
    'width="170" height="84" rx="14" fill="accent"/><path d="M-125 45 q21 34 42 0 q21 34 42 0 q21 34 42 '
    '0 q21 34 42 0 q21 34 42 0 q21 34 40 0 V34 Q125 20 111 20 H-111 Q-125 20 -125 34Z" '
    'fill="light"/><rect x="-8" y="-110" width="16" height="50" fill="text"/><path d="M0 -150 C22 -122 '
    '12 -112 0 -112 C-12 -112 -22 -122 0 -150Z" fill="object"/><rect x="-150" y="120" width="300" '
    'height="14" rx="7" fill="text"/>',
    "candle": '<path d="M0 -150 C40 -100 26 -72 0 -72 C-26 -72 -40 -100 0 -150Z" fill="accent"/><path d="M0 -78 '
    'V-48" stroke="text" stroke-width="8"/><rect x="-58" y="-50" width="116" height="160" rx="12" '
    'fill="object"/><path d="M-58 -10 q20 46 38 6 q18 62 42 4 q18 34 36 -8 V-38 Q58 -50 46 -50 H-46 Q-58 '
    '-50 -58 -38Z" fill="light" opacity=".8"/><path d="M-110 110 H110 Q100 140 70 140 H-70 Q-100 140 '
    '-110 110Z" fill="text"/>',
    "card": '<g transform="rotate(-7)"><rect x="-135" y="-90" width="270" height="190" rx="12" '
    'fill="object"/></g><rect x="-130" y="-90" width="260" height="185" rx="12" fill="light"/><rect '
    'x="-130" y="-90" width="260" height="185" rx="12" fill="none" stroke="accent" '
    'stroke-width="10"/><path d="M-95 60 L-30 -20 L20 35 L55 -5 L100 60Z" fill="accent"/><circle cx="70" '
    'cy="-45" r="20" fill="object"/>',
    "chair": '<rect x="-85" y="-135" width="170" height="150" rx="26" fill="object"/><rect x="-105" y="5" '
    'width="210" height="48" rx="20" fill="accent"/><path d="M-85 50 L-100 140 M85 50 L100 140 M-40 50 '
    'L-44 125 M40 50 L44 125" stroke="text" stroke-width="16" stroke-linecap="round"/>',
    "clock": '<circle r="135" fill="object"/><circle r="105" fill="light"/><path d="M0 0 V-70 M0 0 L48 30" '
    'stroke="text" stroke-width="14" stroke-linecap="round"/><circle r="12" fill="text"/><path d="M0 -95 '
    'V-82 M0 95 V82 M-95 0 H-82 M95 0 H82" stroke="accent" stroke-width="10"/>',
    "decoration": '<rect x="-22" y="-142" width="44" height="34" rx="6" fill="text"/><circle cy="15" r="125" '
    'fill="object"/><path d="M-120 -10 q30 40 60 0 t60 0 t60 0 t60 0 V45 q-30 40 -60 0 t-60 0 t-60 0 '
    't-60 0Z" fill="accent"/><ellipse cx="-45" cy="-55" rx="26" ry="15" fill="light" opacity=".6" '
    'transform="rotate(-35 -45 -55)"/>',
    "device": '<rect x="-85" y="-145" width="170" height="290" rx="26" fill="text"/><rect x="-70" y="-120" '
    'width="140" height="225" rx="8" fill="light"/><circle cy="125" r="10" fill="accent"/><path d="M-45 '
    '-70 H45 M-45 -35 H20" stroke="accent" stroke-width="14" stroke-linecap="round"/><rect x="-45" y="5" '
    'width="90" height="70" rx="10" fill="object"/>',
    "headphones": '<path d="M-110 40 V0 A110 110 0 0 1 110 0 V40" fill="none" stroke="object" stroke-width="24"/><rect '
    'x="-140" y="25" width="70" height="110" rx="28" fill="text"/><rect x="70" y="25" width="70" '
    'height="110" rx="28" fill="text"/><rect x="-82" y="35" width="22" height="90" rx="11" '
    'fill="accent"/><rect x="60" y="35" width="22" height="90" rx="11" fill="accent"/>',
    "heart": '<path d="M0 125 C-190 10 -150 -130 -65 -125 C-30 -124 -8 -98 0 -78 C8 -98 30 -124 65 -125 C150 -130 '
    '190 10 0 125Z" fill="object"/><path d="M-95 -45 C-95 -80 -75 -92 -58 -92" fill="none" '
    'stroke="light" stroke-width="14" stroke-linecap="round" opacity=".7"/>',
    "jewel": '<circle cy="40" r="90" fill="none" stroke="object" stroke-width="22"/><path d="M-60 -110 H60 L90 '
    '-75 L0 5 L-90 -75Z" fill="accent"/><path d="M-60 -110 L-30 -75 L0 -110 L30 -75 L60 -110 M-90 -75 '
    'H90 M-30 -75 L0 5 L30 -75" fill="none" stroke="light" stroke-width="7"/>',
    "lamp": '<path d="M-60 -135 H60 L115 5 H-115Z" fill="accent"/><path d="M0 5 V115" stroke="text" '
    'stroke-width="16"/><path d="M-75 140 Q0 85 75 140Z" fill="object"/><path d="M-95 35 L-120 75 M95 35 '
    'L120 75 M-50 35 L-58 70 M50 35 L58 70" stroke="object" stroke-width="9" stroke-linecap="round" '
    'opacity=".6"/>',
    "mug": '<path d="M75 -35 H100 A48 48 0 0 1 100 62 H75" fill="none" stroke="object" stroke-width="22"/><path '
    'd="M-110 -60 H85 V70 Q85 125 30 125 H-55 Q-110 125 -110 70Z" fill="object"/><rect x="-110" y="-15" '
    'width="195" height="45" fill="accent"/><path d="M-60 -85 q-18 -22 0 -42 M-12 -85 q-18 -22 0 -42 M36 '
    '-85 q-18 -22 0 -42" fill="none" stroke="text" stroke-width="9" stroke-linecap="round" '
    'opacity=".45"/>',
    "plant": '<path d="M0 45 C-10 -60 -110 -50 -120 -120 C-30 -125 0 -60 0 0 C5 -80 40 -140 125 -125 C120 -40 40 '
    '-40 0 45Z" fill="object"/><path d="M0 50 V-10" stroke="text" stroke-width="9"/><path d="M-85 40 H85 '
    'L62 140 H-62Z" fill="accent"/><rect x="-95" y="30" width="190" height="30" rx="8" fill="text" '
    'opacity=".75"/>',
    "plate": '<circle r="135" fill="object"/><circle r="118" fill="light"/><circle r="78" fill="none" '
    'stroke="accent" stroke-width="8"/><g fill="accent"><circle cx="0" cy="-98" r="9"/><circle cx="0" '
    'cy="98" r="9"/><circle cx="-98" cy="0" r="9"/><circle cx="98" cy="0" r="9"/><circle cx="69" cy="69" '
    'r="9"/><circle cx="-69" cy="69" r="9"/><circle cx="69" cy="-69" r="9"/><circle cx="-69" cy="-69" '
    'r="9"/></g>',
    "shirt": '<path d="M-50 -120 Q0 -80 50 -120 L145 -70 L112 0 L80 -18 V130 H-80 V-18 L-112 0 L-145 -70Z" '
    'fill="object"/><path d="M-50 -120 Q0 -62 50 -120" fill="none" stroke="accent" '
    'stroke-width="14"/><path d="M-80 60 H80 V92 H-80Z" fill="accent"/>',
    "shoe": '<path d="M-140 -60 Q-110 -30 -70 -60 L10 -5 Q100 20 130 30 Q150 45 145 75 H-140Z" '
    'fill="object"/><rect x="-148" y="72" width="300" height="30" rx="14" fill="text"/><path d="M-45 -30 '
    'L-70 0 M-15 -10 L-40 20 M18 8 L-6 36" stroke="light" stroke-width="11" stroke-linecap="round"/>',
    "toy": '<g fill="accent"><circle cx="-75" cy="-90" r="42"/><circle cx="75" cy="-90" r="42"/></g><circle '
    'cy="-30" r="105" fill="object"/><ellipse cy="10" rx="50" ry="40" fill="light"/><circle cx="-38" '
    'cy="-50" r="12" fill="text"/><circle cx="38" cy="-50" r="12" fill="text"/><path d="M-15 -5 H15 L0 '
    '12Z M0 12 V26" fill="text" stroke="text" stroke-width="5"/><path d="M-70 50 Q0 150 70 50 L95 130 '
    'H-95Z" fill="accent"/>',
    "ball": '<circle r="130" fill="object"/><path d="M-130 0 Q0 -70 130 0 M-130 0 Q0 70 130 0 M0 -130 V130" '
    'fill="none" stroke="light" stroke-width="12"/><circle r="130" fill="none" stroke="accent" '
    'stroke-width="12"/>',
    "umbrella": '<path d="M-145 10 A145 145 0 0 1 145 10 q-36 -34 -72 0 q-36 -34 -73 0 q-36 -34 -73 0 q-36 -34 -72 '
    '0Z" fill="object"/><path d="M-73 10 Q-60 -90 0 -135 Q60 -90 73 10" fill="none" stroke="accent" '
    'stroke-width="9"/><path d="M0 0 V105 a26 26 0 0 0 52 0" fill="none" stroke="text" stroke-width="13" '
    'stroke-linecap="round"/>',
}
