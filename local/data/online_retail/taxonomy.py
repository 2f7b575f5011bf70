"""A category, tags and a description for each article, from its title: the source has none of them.

The rules are words that mark what an article *is*, tried in order: the first rule with a word in the title decides, so
what is particular (a Christmas card, a cake stand) stands before what is general (a card, a stand).
"""

import re
from typing import Final

OTHER: Final = "Other"

# `_` stands for any single word; a word also matches its plural
RULES: Final[tuple[tuple[str, str], ...]] = (
    # whatever else it is made into, the season decides where a shop shows it
    (
        "Christmas",
        """
        christmas, xmas, x mas, bauble, advent, reindeer, santa, snowman, snowflake, noel, nativity, mistletoe, snow
        globe, jingle bell, holly top, rudolph, elf, fairy tale tree, robin, snowy, stocking, 12 days
    """,
    ),
    (
        "Easter",
        """
        easter, hen in _, chick, egg decoration, bunny egg, spring decoration, spring dec, egg box, speckled egg,
        hen house, cockerel egg, decorative hen, bunnies, rabbit eggcup
    """,
    ),
    # compounds whose parts would mislead
    ("Lunch & Picnic", "lunch bag, lunch box, picnic basket, picnic"),
    (
        "Bath & Beauty",
        """
        hot water bottle, hand warmer, tissue box, wash bag, washbag, cosmetic bag, cosmetics bag
    """,
    ),
    ("Gift Wrap & Ribbons", "gift bag, party bag, bottle bag, gift wrap, gift tag, gift tape, rustic charm"),
    (
        "Bags & Purses",
        """
        jumbo bag, jumbo shopper, storage bag, shopping bag, shopper, shoulder bag, charlotte bag, handbag, hand
        bag, tote bag, lunchbag, wallet, purse, umbrella, keyring, key ring, luggage tag, passport cover, key-chain,
        phone charm, backpack, weekend bag, pocket bag
    """,
    ),
    ("Clocks & Signs", "metal sign, door sign, number tile, chalkboard, alarm clock, wall clock, doormat"),
    ("Mirrors & Frames", "picture frame, photo frame, cover frame, record frame, photoframe"),
    (
        "Toys & Children",
        """
        card game, snap card, playing card, tails card, magic drawing slate, drawing slate, jigsaw, magic slate, tea
        set, domino, harmonica, nesting box, money bank, money box, glider, space cadet, modelling clay
    """,
    ),
    (
        "Kitchen & Dining",
        """
        egg cup, eggcup, measuring jug, napkin charm, napkin ring, measuring spoon, frying pan, fruitbowl, fruit
        bowl, fridge magnet, cake slice, mug, design mug, storage jar, bubblegum ring, toastrack, chopstick,
        squeezer, chalice, tea coffee sugar
    """,
    ),
    (
        "Hooks & Furniture",
        """
        drawer knob, drawerknob, door knob, coat rack, hook hanger, coat hanger, coathanger, key hook, folding
        chair, stool
    """,
    ),
    ("Home Textiles", "cushion cover, c cover, c/cover, tea towel, curtain, quilt"),
    ("Garden", "herb marker"),
    ("Craft & Sewing", "sewing kit, knitting"),
    (
        "Home Decor",
        """
        building block word, wall art, hanging heart decoration, heart decoration, paper fan, bouquet
    """,
    ),
    ("Stationery & Cards", "gift voucher, measuring tape, hole punch, lipstick pen, pen, rubber, pencil"),
    ("Baking & Party", "cocktail parasol, party candle, mini case, petit four case, cake case, recipe box"),
    ("Candles & Lanterns", "tube matches, matches, chocolatecandle"),
    # then what is particular before what is general
    (
        "Jewellery & Hair",
        """
        necklace, necklac, neckl, bracelet, bracel, earring, brooch, pendant, choker, bangle, anklet, hair,
        hairband, hairclip, hairgrip, tiara, cufflink, lariat, diamante ring, crystal ring, ring, ring size,
        adjustable ring, finger ring, headband, bobble, hairslide, braclet, necklce, nckl, butterfly clip,
        fascinator, earings, bead chain, flower ring, bag charm, phone charm, heart charm, charm, hair tie, clear
        stones, jewelled ring, diamante chain, expandable ring, shell ring, glass ring
    """,
    ),
    (
        "Candles & Lanterns",
        """
        candle, candlestick, candleholder, candlepot, t-light, t light, tlight, tealight, tea light, lantern,
        lanten, incense, votive, oil burner, wax, hurricane lamp, candelabra, chamberstick, joss stick, fragrance
        oil, oil, scented, pot pourri, potpourri, room spray, diffuser, scent, lavender sachet, candlering
    """,
    ),
    (
        "Lights & Lamps",
        """
        light, lamp, lampshade, lamp shade, chandelier, led, torch, disco ball, mirror ball, night light, lightbulb,
        sunjar, fibre optic
    """,
    ),
    (
        "Gift Wrap & Ribbons",
        """
        gift wrap, giftwrap, wrap, wrapping, ribbon, gift bag, tissue paper, gift tag, gift tape, wrapping tape,
        gift box, gift topper, bow, giftbag, party bag, bottle bag
    """,
    ),
    (
        "Stationery & Cards",
        """
        card, notebook, pencil, pen, sketchbook, sticker, sticky, eraser, rubber, stationery, stationary, notepaper,
        envelope, journal, memo, writing, paper clip, bookmark, ruler, crayon, marker, book cover, bookcover, tape,
        address book, diary, postcard, folder, sketch book, sharpener, note book, note, memoboard, scrapbook, scrap
        book, photo album, album, ring binder, organiser, list pad, weekly planner, paperweight, paper weight,
        calculator, desk, letter set, letter rack, parade postcard, filofax, notelet, exercise book, book, stamp,
        planner, bookend, colouring set, chalk, office
    """,
    ),
    (
        "Lunch & Picnic",
        """
        lunch, lunchbox, picnic, snack, flask, thermos, bento, cool bag, coolbag, cool box, drink bottle, water
        bottle green, sandwich, food container, bbq, barbecue, food cover, ice cream bowl, hip flask, beach spade,
        straw
    """,
    ),
    (
        "Bath & Beauty",
        """
        soap, bath, bathroom, washbag, wash bag, tissue, lip, lipstick, cosmetic, make up, makeup, manicure, nail,
        toothbrush, flannel, shower, hot water bottle, hottie, hand warmer, handwarmer, balm, perfume, compact
        mirror, vanity, toilet, loo, eye mask, sponge, plaster, sleep mask, comb, hand cream, body, massage, heat
        pad, water bottle, talc, toiletry, pill, razor, towel, hairbrush, brush set, mirror compact, first aid,
        washing, laundry, stress
    """,
    ),
    (
        "Baking & Party",
        """
        party, bunting, balloon, cake case, cupcake, cup cake, muffin, fairy cake, doily, doilies, baking, paper
        cup, paper plate, paper napkin, napkin, paper chain, cake candle, cookie, cutter, cake mould, jelly mould,
        mould, garland, birthday, streamer, confetti, pinata, cake topper, recipe, paper lantern, honeycomb, cake
        tin, cakestand, cake stand, pudding, pastry, rolling pin, mixing bowl, measuring, jelly, icing, bundt, party
        hat, drinking straws, sombrero, bubbles, popcorn, cake, wedding
    """,
    ),
    (
        "Toys & Children",
        """
        toy, game, jigsaw, puzzle, doll, dollcraft, soft toy, teddy, skipping, spinning top, yoyo, yo yo, domino,
        ludo, snakes _ ladders, snake, draughts, chess, playing card, play set, playhouse, kite, puppet, inflatable,
        bubble, trumpet, harmonica, whistle, rocket, robot, dinosaur, building block, blocks, abacus, skittles,
        marbles, noughts, naughts, badge, creepy crawl, tic tac, tattoo, money bank, money box, moneybank, money
        pig, piggy bank, rocking horse, space invader, windmill, sailing boat, boat, train, racing car, plane,
        magic, trick, joke, whoopee, slinky, bouncy, bouncing, football, cricket, sand, hoop, hopscotch, nesting,
        matrioshka, tea set, fancy dress, mask, wings, wand, crown, pirate, knight, soldier, top trump, playing,
        colouring, painting set, baby, babies, rattle, tidy dolly, musical, xylophone, maracas, castanets,
        tambourine, guitar, drum, ocarina, kazoo, ball, bingo, solitaire, mikado, juggling, catch, poker, roulette,
        dart, zombie, gloop, goo, funky monkey, monkey, flying, helicopter, aeroplane, globe, tyrannosaurus, trex,
        tractor, fire engine, telephone, castle, princess, superhero, cowboy, indian, farmyard, animal, elephant,
        giraffe, pony, unicorn, piano, finger puppet, children, kids, child, boys, girls, nursery, spaceboy, circus
        parade
    """,
    ),
    (
        "Craft & Sewing",
        """
        feltcraft, felt craft, sewing, knitting, crochet, craft, button, pin cushion, fabric, patch, iron on, iron
        patch, scissor, embroidery, thread, needle, knit, origami, paint, stencil, sequin, bead, decoupage, make
        your own, kit, wool, patchwork, stamp set, gem, glue, sew, cotton reel
    """,
    ),
    (
        "Bags & Purses",
        """
        bag, purse, handbag, wallet, shopper, tote, rucksack, satchel, luggage, suitcase, passport, backpack,
        holdall, clutch, travel card, jumbo bag, charlotte bag, weekend, coin purse, card holder, ticket holder,
        glasses case, spectacle, pouch, umbrella, brolly, scarf, shawl, sarong, poncho, hat, glove, sock, slipper,
        sunglasses, belt, pashmina, key ring, keyring, key-ring, key fob, keychain, phone holder, phone case, mobile
        phone, phone, leg warmer, legwarmer, flip flop, raincoat, rain hat, t-shirt, apron dress, mittens, passport
        cover, travel, compact
    """,
    ),
    (
        "Garden",
        """
        herb marker, garden, gardener, gardening, plant, planter, watering, parasol, bird table, bird feeder, bird
        box, birdhouse, bird house, birdcage, bird bath, birdbath, hanging basket, flower pot, flowerpot, plant pot,
        herb, seed, wind chime, windchime, chime, trowel, fork, garden tool, hose, secateurs, deck chair, deckchair,
        hammock, trellis, fly swat, fly trap, insect, allotment, wheelbarrow, pot plant, grow your own, grow a,
        bucket, gnome, toadstool, mushroom, greenhouse, lawn, shed, watering can, kneeling, kneepad, patio, outdoor,
        fly, weather, thermometer, barometer, wellington, wellies, boot scraper, bootscraper, swing seat, gazebo,
        swallow, sundial, cold frame, flower fairy
    """,
    ),
    (
        "Clocks & Signs",
        """
        clock, sign, plaque, blackboard, black board, chalkboard, chalk board, noticeboard, notice board, doormat,
        door mat, door sign, house number, number tile, tile, wall art, letter, alphabet, poster, slate, calendar,
        metal sign, watch, timer, banner, flag, placard, door plate, doorbell, door bell, bell, doorstop, door stop,
        no entry, street, picture, print, canvas, painting, artwork, stretched, screen
    """,
    ),
    ("Mirrors & Frames", "mirror, frame, photoframe, photo, photo clip, photo cube, picture frame, snapshot"),
    (
        "Storage & Boxes",
        """
        trinket box, jewellery box, jewel box, storage, cabinet, drawer, chest, crate, hamper, basket, trunk, tidy,
        bread bin, bin, magazine rack, sewing box, keepsake, treasure, trinket, jewellery stand, jewellery tree,
        jewelry, jewellery, shoe, hatbox, hat box, box, tin, cube, canister, caddy, caddies, holder, rack,
        organizer, stand, container
    """,
    ),
    (
        "Home Textiles",
        """
        cushion, throw, quilt, blanket, curtain, rug, tablecloth, table cloth, bedspread, duvet, pillow, pillowcase,
        tea towel, teatowel, apron, oven glove, oven mitt, tea cosy, tea cozy, table runner, runner, filler pad,
        eiderdown, beanbag, bean bag, door curtain, lace, linen, bedroom, draught excluder, placemat, place mat,
        place setting, coaster, doorcurtain, pad, mat
    """,
    ),
    (
        "Kitchen & Dining",
        """
        mug, cup, bowl, plate, teapot, tea pot, teacup, tea cup, saucer, coffee, tea, cutlery, knife, knives, spoon,
        jug, jar, bottle, tumbler, beaker, goblet, decanter, carafe, tray, dish, ramekin, casserole, frying pan,
        pan, saucepan, kitchen, pantry, cook, cooking, oven, egg cup, eggcup, egg timer, egg, salt, pepper, sugar,
        milk, butter, cheese, bread, toast, biscuit, cookie jar, chopping board, chopping, board, spice, colander,
        sieve, scale, whisk, spatula, ladle, corkscrew, bottle opener, opener, wine, champagne, shot glass,
        cocktail, beer, ice, napkin ring, trivet, pot stand, fruit, dinner, diner, supper, breakfast, tableware,
        platter, serving, drinking glass, pitcher, lid, jam, honey, preserving, preserve, popsicle, lolly, kettle,
        fridge, magnet, cafetiere, grinder, mill, dishcloth, dish cloth, chocolate, sweets, candy, toffee, candies,
        mint, cocoa, ladel, tongs, skewer, food, cracker, espresso, bonbon, toothpick, gumball, pot, crockery,
        condiment, cruet, strainer, glass
    """,
    ),
    (
        "Hooks & Furniture",
        """
        hook, hanger, knob, door knob, drawer knob, handle, shelf, shelves, stool, chair, table, bench, seat, sofa,
        wardrobe, coat, key rack, dresser, armchair, bookcase, furniture, ladder, towel rail, rail, peg, bracket,
        fire screen, screen, console, bed, tv
    """,
    ),
    (
        "Home Decor",
        """
        decoration, decor, ornament, hanging, wreath, heart, star, mobile, figure, figurine, statue, vase,
        artificial, flower, rose, feather, butterfly, butterflies, bird, dove, angel, fairy, cherub, cupid, buddha,
        ashtray, paperchain, tinsel, string, crystal, dreamcatcher, sculpture, stone, pebbles, shell, branch, twig,
        tree, leaf, leaves, cat, dog, owl, rabbit, duck, hen, cockerel, fish, squirrel, horse, deer, fox, elephants,
        pom pom, pompom, curtain tie, suncatcher, spinner, wall, home, love, garlands, bouquet, pinecone, orb,
        sphere, ball decoration, globe, fan, peacock, parrot, world map, map, cross, skull, radio, zinc, dec,
        mantelpiece, fireplace, aquarius, zodiac
    """,
    ),
)

# a tag and the words that bring it
TAGS: Final[tuple[tuple[str, str], ...]] = (
    # colours
    ("red", "red"),
    ("pink", "pink"),
    ("blue", "blue"),
    ("green", "green"),
    ("white", "white"),
    ("black", "black"),
    ("cream", "cream"),
    ("yellow", "yellow"),
    ("purple", "purple"),
    ("orange", "orange"),
    ("turquoise", "turquoise"),
    ("ivory", "ivory"),
    ("brown", "brown, chocolate brown"),
    ("grey", "grey, gray"),
    ("lilac", "lilac, lavender"),
    ("fuchsia", "fuschia, fuchsia"),
    ("silver", "silver"),
    ("gold", "gold, golden"),
    ("multicolour", "multicolour, multicoloured, colourful, rainbow"),
    ("pastel", "pastel"),
    # materials
    ("glass", "glass, murano"),
    ("metal", "metal, steel, iron, aluminium"),
    ("wood", "wood, wooden"),
    ("ceramic", "ceramic, porcelain, china, bone china"),
    ("paper", "paper, cardboard"),
    ("enamel", "enamel"),
    ("zinc", "zinc"),
    ("tin", "tin"),
    ("felt", "felt, feltcraft"),
    ("wicker", "wicker, rattan, willow"),
    ("cotton", "cotton"),
    ("crystal", "crystal, diamante, diamond"),
    ("slate", "slate"),
    ("knitted", "knitted, knit, crochet, woolly, wool"),
    ("acrylic", "acrylic, plastic"),
    ("feather", "feather"),
    ("beaded", "bead, beaded"),
    ("lace", "lace"),
    ("wire", "wire"),
    # motifs
    ("heart", "heart, sweetheart"),
    ("star", "star"),
    ("retrospot", "retrospot, retro spot"),
    ("polkadot", "polkadot, polka dot, spotty, spot"),
    ("flower", "flower, floral, daisy, daisies, blossom, botanical, poppy, poppies, flora"),
    ("rose", "rose, rosie"),
    ("bird", "bird, dove, lovebird, swallow, robin, owl, hen, chick, cockerel"),
    ("butterfly", "butterfly, butterflies"),
    ("paisley", "paisley"),
    ("gingham", "gingham"),
    ("stripe", "stripe, stripey, striped"),
    ("union jack", "union jack, union flag"),
    ("skull", "skull"),
    ("leaf", "leaf, leaves"),
    ("fruit", "fruit, strawberry, apple, cherry, pear, cherries, lemon, banana"),
    ("woodland", "woodland, toadstool, mushroom, hedgehog, squirrel"),
    (
        "animal",
        """
        animal, cat, dog, scotty, scottie, rabbit, bunny, bunnies, elephant, giraffe, monkey, dinosaur, pony, horse,
        panda, frog, reindeer
    """,
    ),
    ("fairy", "fairy, fairies, angel, cherub"),
    ("alphabet", "alphabet, letter, font"),
    ("london", "london"),
    ("paris", "paris, parisienne, french, france, provence, campagne, chateau"),
    ("space", "space, spaceboy, rocket, robot"),
    ("circus", "circus"),
    ("seaside", "seaside, beach, nautical, sailor"),
    # manners
    ("vintage", "vintage, antique, victorian, edwardian, georgian, classic, traditional"),
    ("retro", "retro, diner, 50's, 60's, 70's, bakelike, funky, psychedelic"),
    ("rustic", "rustic, country, cottage, farmhouse"),
    ("regency", "regency, baroque, rococo"),
    ("scandinavian", "scandinavian, danish, swedish, nordic, folkart, folk art, folk"),
    ("hanging", "hanging"),
    ("mini", "mini, miniature"),
    ("jumbo", "jumbo, giant"),
    ("children", "children, child, kid, baby, girl, boy"),
    ("keep calm", "keep calm"),
    ("home sweet home", "home sweet home"),
    ("christmas", "christmas, xmas, santa, reindeer, snowman, snowflake, noel, advent, bauble"),
    ("easter", "easter"),
    ("birthday", "birthday"),
    ("scented", "scented, scent, incense, lavender, vanilla"),
)

# the source names no makers; what comes nearest is the design range that a title belongs to
BRANDS: Final = (
    "Poppy's Playhouse",
    "Charlie and Lola",
    "Spaceboy",
    "Dolly Girl",
    "Circus Parade",
    "Feltcraft",
    "Babushka",
    "Suki",
    "Regency",
    "Parisienne",
    "Gymkhana",
    "Buffalo Bill",
    "Edwardian",
    "Boudicca",
    "Ma Campagne",
    "Kashmiri",
    "Murano",
    "Tutti Frutti",
    "Pantry",
    "Retrospot",
    "Union Jack",
    "Keep Calm",
    "Home Sweet Home",
    "Folkart",
    "Woodland",
    "Morris",
)


def _pattern(words: str) -> re.Pattern[str]:
    alternatives = (re.escape(word).replace("_", r"\w+") + "(?:s|es)?" for word in " ".join(words.split()).split(", "))
    return re.compile(r"(?<![a-z])(?:" + "|".join(alternatives) + r")(?![a-z])")


_COMPILED: Final = tuple((name, _pattern(words)) for name, words in RULES)
CATEGORIES: Final = (*sorted({name for name, _words in RULES}), OTHER)


_TAGS: Final = tuple((tag, _pattern(words)) for tag, words in TAGS)


def category(title: str) -> str:
    """Return the category of an article by its title; OTHER where no rule has a word of it."""
    lowered = title.lower()
    return next((name for name, pattern in _COMPILED if pattern.search(lowered)), OTHER)


def tags(title: str) -> list[str]:
    """Return the colours, materials, motifs and manners that a title names, in the order of TAGS."""
    lowered = title.lower()
    return [tag for tag, pattern in _TAGS if pattern.search(lowered)]


def brand(title: str) -> str | None:
    """Return the design range that a title names, or None."""
    lowered = re.sub(r"charlie ?(?:\+|&|and) ?lola", "charlie and lola", title.lower())
    return next((name for name in BRANDS if name.lower() in lowered), None)


def description(title: str, category_name: str, tag_names: list[str]) -> str:
    """Return a sentence or two made of what else is known."""
    words = " ".join(title.split()).capitalize().rstrip(".,")
    traits = f" {', '.join(tag_names).capitalize()}." if tag_names else ""
    return f"{words}. From our {category_name} range.{traits}"
