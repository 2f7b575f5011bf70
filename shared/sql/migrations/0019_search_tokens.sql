-- One tokenisation for documents and queries, in every script: docs/decisions/0040-one-tokenisation.md.
--
--   search_lower   text    → one Unicode form, one case, one apostrophe, one hyphen, one set of digits
--   search_fold    text    → search_lower without the marks that shoppers leave out
--   search_plain   folded  → its words, without punctuation
--   search_apart   folded  → search_plain with letters apart from digits
--   search_text    folded  → search_apart with n-grams where a script writes no spaces
--   search_joined  folded  → words with an inner hyphen, dot or slash, written together
--   search_marked  lower   → words whose marks search_fold removes, as they are and with ae, oe, ue, aa
--   search_vector  text    → the document: all of the above
--   search_query   text    → the query: all of the above

CREATE FUNCTION search_lower(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF octet_length(t) = length(t) THEN
        RETURN lower(t COLLATE pg_c_utf8);
    END IF;
    -- NFKC would make letters of the trade mark, and a space of the acute accent
    t := normalize(translate(t, '™℠´', '  '''), NFKC);
    t := normalize(casefold(t COLLATE pg_unicode_fast), NFC);
    -- NFKC takes the vowel am of Thai and Lao apart, which is shown as one
    t := replace(replace(t, 'ํา', 'ำ'), 'ໍາ', 'ຳ');
    -- soft hyphens, zero-width characters, directions, variation selectors, the lengthening stroke of Arabic
    t := regexp_replace(t, '[\u00ad\u0640\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]', '', 'g');
    RETURN translate(t, '’‘ʼ`′׳״־‐‑‒–—−⁄٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹०१२३४५६७८९০১২৩৪৫৬৭৮৯๐๑๒๓๔๕๖๗๘๙',
                     '''''''''''''''-------/01234567890123456789012345678901234567890123456789');
END $$;

CREATE FUNCTION search_fold(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    t := search_lower(t);
    IF octet_length(t) = length(t) THEN
        RETURN t;
    END IF;
    -- й, ї and ў are letters of their own and ё is not: these three wait at places that no text uses
    t := normalize(translate(t, 'йїў', E'\ue000\ue001\ue002'), NFD);
    -- accents of Latin, Greek and Cyrillic letters; vowel signs of Hebrew and Arabic; the nukta of Indic scripts
    t := regexp_replace(t, '[\u0300-\u036f\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u064b-\u065f\u0670'
                           '\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\u093c\u09bc\u0a3c\u0abc]', '', 'g');
    t := translate(normalize(t, NFC), E'\ue000\ue001\ue002', 'йїў');
    t := replace(replace(replace(t, 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th');
    -- letters that no normal form takes apart; forms that keyboards of Arabic, Persian and Urdu mix; chandrabindu
    RETURN translate(t, 'ıøłđðħŧəىیېئکةہھەँ', 'iolddhteييييكههههं');
END $$;

CREATE FUNCTION search_plain(folded text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF octet_length(folded) = length(folded) THEN
        RETURN btrim(regexp_replace(folded, '[^a-z0-9]+', ' ', 'g'));
    END IF;
    -- what is no separator is part of a word: vowel signs are no letters in every table
    RETURN btrim(regexp_replace(folded COLLATE pg_c_utf8, '[[:space:][:punct:][:cntrl:]]+', ' ', 'g'));
END $$;

-- Whether a text has letters of a script that writes no spaces between words, or none that help (Korean).
CREATE FUNCTION search_has_runs(t text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT octet_length(t) > length(t) AND
           t ~ '[\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u1000-\u103f\u1050-\u109f\u1780-\u17d3\u3005-\u3007\u3040-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]'
$$;

-- Pairs of neighbours, and the last character alone: 'あいう' → 'あい いう う'. A character keeps its vowel and tone marks.
CREATE FUNCTION search_ngrams(run text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT string_agg(c || next, ' ' ORDER BY n)
    FROM (SELECT m[1] AS c, n, lead(m[1], 1, '') OVER (ORDER BY n) AS next
          FROM regexp_matches(run, '.[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u102b-\u103e\u1056-\u1060\u17b4-\u17d3\u3099\u309a]*', 'g')
               WITH ORDINALITY AS matched(m, n)) AS characters
$$;

-- The words of a text, letters apart from digits.
CREATE FUNCTION search_apart(folded text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    t  text := search_plain(folded);
BEGIN
    IF t ~ '[0-9]' THEN
        t := regexp_replace(regexp_replace(t, '([0-9])([^0-9 ])', '\1 \2', 'g'), '([^0-9 ])([0-9])', '\1 \2', 'g');
    END IF;
    RETURN t;
END $$;

CREATE FUNCTION search_text(folded text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    t  text := search_apart(folded);
BEGIN
    IF search_has_runs(t) THEN
        -- spaces inside a run do not count: Korean shoppers set them as they like
        t := (SELECT string_agg(CASE WHEN m[1] IS NULL THEN btrim(m[2]) ELSE search_ngrams(replace(m[1], ' ', '')) END,
                                ' ' ORDER BY n)
              FROM regexp_matches(t, '([\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u1000-\u103f\u1050-\u109f\u1780-\u17d3\u3005-\u3007\u3040-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff](?: ?[\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u1000-\u103f\u1050-\u109f\u1780-\u17d3\u3005-\u3007\u3040-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff])*)'
                                     '|([^\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u1000-\u103f\u1050-\u109f\u1780-\u17d3\u3005-\u3007\u3040-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]+)', 'g')
                   WITH ORDINALITY AS matched(m, n));
        t := btrim(regexp_replace(t, ' +', ' ', 'g'));
    END IF;
    RETURN t;
END $$;

CREATE FUNCTION search_joined(folded text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF folded !~ '[^ ][-./''_+&][^ ]' THEN
        RETURN '';
    END IF;
    RETURN (SELECT coalesce(string_agg(search_text(translate(m[1], '-./''_+&', '')), ' '), '')
            FROM regexp_matches(folded COLLATE pg_c_utf8, '[^[:space:][:punct:][:cntrl:]]+'
                 '(?:[-./''_+&][^[:space:][:punct:][:cntrl:]]+)+', 'g') AS matched(m)
            WHERE length(m[1]) <= 40);
END $$;

CREATE FUNCTION search_marked(lower text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF lower !~ '[\u00e0-\u024f\u1e00-\u1eff]' THEN
        RETURN '';
    END IF;
    RETURN (SELECT coalesce(string_agg(CASE
                WHEN m[1] ~ '[äöüøå]' THEN m[1] || ' ' ||
                    search_fold(replace(replace(replace(replace(replace(m[1], 'ä', 'ae'), 'ö', 'oe'), 'ü', 'ue'), 'ø', 'oe'), 'å', 'aa'))
                ELSE m[1] END, ' '), '')
            FROM regexp_matches(lower COLLATE pg_c_utf8,
                                '[[:alpha:]]*[\u00e0-\u024f\u1e00-\u1eff][[:alpha:]]*', 'g') AS matched(m));
END $$;

-- Two configurations for each of PostgreSQL's languages. `aisle_german` keeps stop words, for titles and queries: they
-- may be all that a title has. `aisle_german_prose` drops them, for descriptions.
DO $$
DECLARE
    language    text;
    dictionary  record;
BEGIN
    FOR dictionary IN
        SELECT d.dictname, (regexp_match(d.dictinitoption, 'language\s*=\s*''(\w+)'''))[1] AS stemmer
        FROM pg_ts_dict d JOIN pg_ts_template t ON t.oid = d.dicttemplate
        WHERE d.dictnamespace = 'pg_catalog'::regnamespace AND t.tmplname = 'snowball'
    LOOP
        EXECUTE format('CREATE TEXT SEARCH DICTIONARY aisle_%s (TEMPLATE = pg_catalog.snowball, Language = %s)',
                       dictionary.dictname, dictionary.stemmer);
    END LOOP;
    FOR language IN SELECT cfgname FROM pg_ts_config WHERE cfgnamespace = 'pg_catalog'::regnamespace LOOP
        EXECUTE format('CREATE TEXT SEARCH CONFIGURATION aisle_%s_prose (COPY = pg_catalog.%I)', language, language);
        EXECUTE format('CREATE TEXT SEARCH CONFIGURATION aisle_%s (COPY = pg_catalog.%I)', language, language);
        FOR dictionary IN
            SELECT DISTINCT d.dictname FROM pg_ts_config_map m JOIN pg_ts_config c ON c.oid = m.mapcfg
            JOIN pg_ts_dict d ON d.oid = m.mapdict JOIN pg_ts_template t ON t.oid = d.dicttemplate
            WHERE c.cfgname = language AND c.cfgnamespace = 'pg_catalog'::regnamespace AND t.tmplname = 'snowball'
        LOOP
            EXECUTE format('ALTER TEXT SEARCH CONFIGURATION aisle_%s ALTER MAPPING REPLACE pg_catalog.%I WITH aisle_%s',
                           language, dictionary.dictname, dictionary.dictname);
        END LOOP;
    END LOOP;
END $$;

-- Languages in which documents may still be, the shop's own first: several while a change re-indexes the catalog.
ALTER TABLE shop ADD COLUMN languages text[] NOT NULL DEFAULT '{simple}' CHECK (cardinality(languages) > 0);
UPDATE shop SET languages = ARRAY[coalesce(search_language, 'simple')];
CREATE FUNCTION search_vector(language text, t text) RETURNS tsvector LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    configuration  regconfig := 'aisle_' || language;
    folded         text := search_fold(t);
    forms          text := search_joined(folded);
    document       tsvector := to_tsvector(configuration, search_text(folded));
BEGIN
    IF octet_length(t) > length(t) THEN
        forms := concat_ws(' ', forms, search_marked(search_lower(t)));
    END IF;
    RETURN CASE WHEN forms = '' THEN document ELSE document || to_tsvector(configuration, forms) END;
END $$;

CREATE FUNCTION search_prose(language text, t text) RETURNS tsvector LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    configuration  regconfig := 'aisle_' || language || '_prose';
    folded         text := search_fold(t);
    joined         text := search_joined(folded);
    document       tsvector := to_tsvector(configuration, search_text(folded));
BEGIN
    RETURN CASE WHEN joined = '' THEN document ELSE document || to_tsvector(configuration, joined) END;
END $$;

-- A title without its punctuation: two titles of one key are the same to a shopper.
CREATE FUNCTION search_key(t text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT hashtextextended(nullif(search_text(search_fold(t)), ''), 0)
$$;

CREATE OR REPLACE FUNCTION product_document(p products, category text) RETURNS tsvector LANGUAGE plpgsql STABLE AS $$
DECLARE
    language  text := (SELECT languages[1] FROM shop);
    -- parts of a generated id mean nothing; as a whole it is found by the index on external_id
    code      text := CASE WHEN p.external_id !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN p.external_id END;
BEGIN
    RETURN setweight(search_vector(language, p.name), 'A') ||
           setweight(search_vector(language, concat_ws(' ', p.brand, array_to_string(p.tags, ' '), code, category)), 'B') ||
           setweight(search_prose(language, p.description), 'C');
END $$;

-- NULL in both: the document was written before the tokenisation had these functions, or by the previous release.
ALTER TABLE products ADD COLUMN title_key bigint, ADD COLUMN document_language text;
CREATE INDEX products_title_key ON products (title_key);
CREATE OR REPLACE FUNCTION write_product_document() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.document := product_document(NEW, (SELECT leaf FROM categories WHERE id = NEW.category_id));
    NEW.title_key := search_key(NEW.name);
    NEW.document_language := (SELECT languages[1] FROM shop);
    RETURN NEW;
END $$;

ALTER TABLE categories ADD COLUMN document tsvector;
CREATE FUNCTION write_category_document() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.document := search_vector((SELECT languages[1] FROM shop), NEW.leaf);
    RETURN NEW;
END $$;
-- Triggers run in the order of their names: this one after categories_write_path, which writes the leaf.
CREATE TRIGGER categories_write_searched_text BEFORE INSERT OR UPDATE OF name, leaf, document ON categories
    FOR EACH ROW EXECUTE FUNCTION write_category_document();
UPDATE categories SET document = NULL;

-- Parts that follow each other, each stemmed; the last one as a beginning, stemmed and as typed: a beginning may end
-- inside a suffix that the stemmer would cut ("decorati").
CREATE FUNCTION search_phrase(configuration regconfig, parts text[], is_partial boolean) RETURNS tsquery
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    last     text := '''' || parts[cardinality(parts)] || '''';
    phrase   tsquery;
    partial  tsquery;
BEGIN
    IF cardinality(parts) > 1 THEN
        phrase := to_tsquery(configuration, '''' || array_to_string(trim_array(parts, 1), ''' <-> ''') || '''');
    END IF;
    IF is_partial THEN
        partial := to_tsquery(configuration, last || ':*');
        IF partial <> to_tsquery('simple', last || ':*') THEN
            partial := partial || to_tsquery('simple', last || ':*');
        END IF;
    ELSE
        partial := to_tsquery(configuration, last);
    END IF;
    RETURN CASE WHEN phrase IS NULL THEN partial ELSE phrase <-> partial END;
END $$;

-- Words of the catalog that have this part in front, at the end, or, where it is long, inside: German "Stuhl" in
-- "Gartenstuhl". Two letters may follow, as an ending.
CREATE FUNCTION search_compounds(part text) RETURNS TABLE (word text) LANGUAGE sql STABLE AS $$
    SELECT w.word
    FROM search_words w, LATERAL (SELECT strpos(w.word, part) AS place, length(w.word) - length(part) AS more) AS fit
    WHERE w.word LIKE '%' || part || '%' AND more >= 3
      AND (place = 1 OR (place > 3 AND (more - place + 1 <= 2 OR length(part) >= 6)))
    ORDER BY w.products DESC, w.word LIMIT 40
$$;

-- What one word of a search finds, in one language.
CREATE FUNCTION search_word_query(language text, word text, is_partial boolean) RETURNS tsquery
LANGUAGE plpgsql STABLE AS $$
DECLARE
    configuration  regconfig := 'aisle_' || language;
    folded         text := search_fold(word);
    parts          text[] := string_to_array(search_text(folded), ' ');
    pieces         text[] := string_to_array(search_plain(folded), ' ');
    n              integer := cardinality(parts);
    -- a character of a script without spaces, alone: the pairs that begin with it
    begins         boolean := is_partial OR (n = 1 AND search_has_runs(parts[1]) AND search_ngrams(parts[1]) = parts[1]);
    forms          text;
    found          tsquery;
    more           tsquery;
    piece          text;
BEGIN
    IF n = 0 THEN
        RETURN ''::tsquery;
    END IF;
    -- the last character alone stands in documents only; a search may end inside a word
    IF n > 1 AND search_has_runs(parts[n]) AND right(parts[n - 1], length(parts[n])) = parts[n] THEN
        parts := trim_array(parts, 1);
    END IF;
    IF cardinality(pieces) > 1 AND array_to_string(pieces, '') !~ '[0-9]' AND NOT search_has_runs(folded)
       AND (SELECT min(length(p)) FROM unnest(pieces) AS p) > 2 THEN
        -- "Salt/Pepper": words of their own, in any order
        FOR i IN 1 .. cardinality(pieces) LOOP
            more := search_phrase(configuration, pieces[i:i], begins AND i = cardinality(pieces));
            found := CASE WHEN found IS NULL THEN more ELSE found && more END;
        END LOOP;
    ELSE
        found := search_phrase(configuration, parts, begins);
    END IF;
    forms := search_joined(folded);
    IF forms <> '' AND forms <> array_to_string(parts, ' ') THEN
        found := found || search_phrase(configuration, string_to_array(forms, ' '), begins);
    END IF;
    IF octet_length(word) > length(word) THEN
        FOREACH piece IN ARRAY string_to_array(search_marked(word), ' ') LOOP
            -- only if the mark is in the only piece: the other pieces must be found as well
            IF cardinality(pieces) = 1 AND piece <> pieces[1] THEN
                found := found || search_phrase(configuration, ARRAY[piece], begins);
            END IF;
        END LOOP;
    END IF;
    IF language IN ('german', 'dutch', 'danish', 'swedish', 'norwegian', 'finnish', 'hungarian', 'estonian')
       AND cardinality(parts) = 1 AND length(parts[1]) >= 4 AND NOT search_has_runs(folded) THEN
        SELECT to_tsquery(configuration, string_agg('''' || c.word || '''', ' | ')) INTO more
        FROM search_compounds(coalesce((ts_lexize(('aisle_' || language || '_stem')::regdictionary, parts[1]))[1], parts[1])) AS c;
        found := CASE WHEN more IS NULL THEN found ELSE found || more END;
    END IF;
    RETURN found;
END $$;

-- The words of a search: as typed without marks, what each finds complete and as a beginning, and whether it is a stop
-- word of the shop's language.
CREATE FUNCTION search_terms(typed text) RETURNS TABLE (
    place integer, word text, complete tsquery, partial tsquery, is_stop boolean
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    known     text[] := (SELECT languages FROM shop);
    words     text[] := ARRAY(SELECT m[1] FROM regexp_matches(search_lower(typed) COLLATE pg_c_utf8,
                            '[^[:space:][:punct:][:cntrl:]]+(?:[-./''_+&][^[:space:][:punct:][:cntrl:]]+)*', 'g') AS matched(m)
                            LIMIT 16);
    language  text;
    found     tsquery;
BEGIN
    FOR i IN 1 .. cardinality(words) LOOP
        place := i; complete := NULL; partial := NULL;
        word := search_fold(words[i]);
        -- a mark alone is no word
        CONTINUE WHEN search_plain(word) = '';
        FOREACH language IN ARRAY known LOOP
            found := search_word_query(language, words[i], false);
            complete := CASE WHEN complete IS NULL THEN found ELSE complete || found END;
            IF i = cardinality(words) THEN
                found := search_word_query(language, words[i], true);
                partial := CASE WHEN partial IS NULL THEN found ELSE partial || found END;
            END IF;
        END LOOP;
        partial := coalesce(partial, complete);
        is_stop := numnode(to_tsquery(('aisle_' || known[1] || '_prose')::regconfig, quote_literal(search_plain(word)))) = 0;
        RETURN NEXT;
    END LOOP;
END $$;

-- A text as a list of stems, by which synonyms are found in a search.
CREATE FUNCTION search_stems(t text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(string_agg(stem.lexeme, ' ' ORDER BY place), '')
    FROM unnest(to_tsvector(('aisle_' || (SELECT languages[1] FROM shop))::regconfig, search_text(search_fold(t)))) AS stem,
         unnest(stem.positions) AS place
$$;

-- A search for `term` also finds `meant` and, if `two_way`, a search for `meant` also finds `term`. The keys are
-- search_stems of both.
CREATE TABLE synonyms (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    term        text NOT NULL,
    meant       text NOT NULL,
    two_way     boolean NOT NULL,
    term_key    text NOT NULL CHECK (term_key <> ''),
    meant_key   text NOT NULL CHECK (meant_key <> ''),
    created_at  timestamptz NOT NULL DEFAULT now()
);
-- not of the keys, which may become the same in another language
CREATE UNIQUE INDEX synonyms_once ON synonyms (lower(term), lower(meant));
CREATE INDEX synonyms_term ON synonyms (term_key);
CREATE INDEX synonyms_meant ON synonyms (meant_key) WHERE two_way;
CREATE FUNCTION write_synonym_keys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.term_key := search_stems(NEW.term);
    NEW.meant_key := search_stems(NEW.meant);
    RETURN NEW;
END $$;
CREATE TRIGGER synonyms_write_keys BEFORE INSERT OR UPDATE ON synonyms FOR EACH ROW EXECUTE FUNCTION write_synonym_keys();

-- A change of the language: documents are in both until refresh_catalog has written all of them again. Categories and
-- synonyms are few, and follow at once.
CREATE FUNCTION begin_search_language() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wanted  text := coalesce(NEW.search_language, 'simple');
BEGIN
    NEW.languages := wanted || CASE WHEN EXISTS (SELECT FROM products) THEN array_remove(OLD.languages, wanted) END;
    RETURN NEW;
END $$;
CREATE TRIGGER shop_search_language BEFORE UPDATE OF search_language ON shop FOR EACH ROW
    WHEN (NEW.search_language IS DISTINCT FROM OLD.search_language) EXECUTE FUNCTION begin_search_language();
CREATE FUNCTION follow_search_language() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE categories SET document = NULL;
    UPDATE synonyms SET term = term;
    RETURN NULL;
END $$;
CREATE TRIGGER shop_searched_texts AFTER UPDATE OF search_language ON shop FOR EACH ROW
    WHEN (NEW.search_language IS DISTINCT FROM OLD.search_language) EXECUTE FUNCTION follow_search_language();

-- All words of a text, each complete.
CREATE FUNCTION search_all_complete(typed text) RETURNS tsquery LANGUAGE plpgsql STABLE AS $$
DECLARE
    term   record;
    found  tsquery;
BEGIN
    FOR term IN SELECT t.complete FROM search_terms(typed) AS t LOOP
        found := CASE WHEN found IS NULL THEN term.complete ELSE found && term.complete END;
    END LOOP;
    RETURN found;
END $$;

-- The query of a search. `how`: all words, all but one of them ('most'), or any. Stop words decide nothing as long as
-- other words do. `complete` takes every word as it is, and ranks. Words that have a synonym count as one.
CREATE FUNCTION search_query(typed text, how text, OUT matching tsquery, OUT complete tsquery)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    terms     record;
    last_word  integer;
    meanings   text[];
    partials  tsquery[];
    stops     boolean[];
    stems     text[];
    kept      tsquery[] := '{}';
    optional  tsquery[] := '{}';
    span      tsquery;
    others    tsquery;
    n         integer;
    i         integer := 1;
BEGIN
    SELECT array_agg(t.complete ORDER BY place) AS complete, array_agg(t.partial ORDER BY place) AS partial,
           array_agg(t.is_stop ORDER BY place) AS is_stop, array_agg(t.word ORDER BY place) AS word
    INTO terms FROM search_terms(typed) AS t;
    partials := terms.partial; stops := terms.is_stop;
    n := coalesce(cardinality(partials), 0);
    FOR j IN 1 .. n LOOP
        complete := CASE WHEN complete IS NULL THEN terms.complete[j] ELSE complete && terms.complete[j] END;
    END LOOP;
    IF n > 0 AND EXISTS (SELECT FROM synonyms) THEN
        stems := ARRAY(SELECT search_stems(w) FROM unnest(terms.word) WITH ORDINALITY AS u(w, place) ORDER BY place);
    END IF;
    WHILE i <= n LOOP
        last_word := NULL;
        IF stems IS NOT NULL THEN
            -- the longest run of words from here that has a synonym
            SELECT last, array_agg(meant) INTO last_word, meanings
            FROM generate_series(i, least(i + 4, n)) AS last,
                 LATERAL (SELECT s.meant FROM synonyms s WHERE s.term_key = array_to_string(stems[i:last], ' ')
                          UNION SELECT s.term FROM synonyms s
                          WHERE s.two_way AND s.meant_key = array_to_string(stems[i:last], ' ')) AS known
            GROUP BY last ORDER BY last DESC LIMIT 1;
        END IF;
        IF last_word IS NULL THEN
            IF how <> 'all' AND search_has_runs(terms.word[i]) THEN
                -- several words without a space between them: each pair of characters counts for itself
                kept := kept || ARRAY(SELECT search_phrase('simple', ARRAY[pair], false)
                                      FROM string_to_table(search_text(terms.word[i]), ' ') AS pair
                                      WHERE length(pair) > 1 LIMIT 16);
            ELSIF stops[i] THEN
                optional := optional || partials[i];
            ELSE
                kept := kept || partials[i];
            END IF;
            i := i + 1;
        ELSE
            span := partials[i];
            FOR j IN i + 1 .. last_word LOOP
                span := span && partials[j];
            END LOOP;
            FOR j IN 1 .. cardinality(meanings) LOOP
                span := span || search_all_complete(meanings[j]);
            END LOOP;
            kept := kept || span;
            i := last_word + 1;
        END IF;
    END LOOP;
    kept := CASE WHEN kept = '{}' THEN optional ELSE kept END;
    n := cardinality(kept);
    FOR i IN 1 .. n LOOP
        IF how = 'most' AND n > 1 THEN
            others := NULL;
            FOR j IN 1 .. n LOOP
                IF j <> i THEN
                    others := CASE WHEN others IS NULL THEN kept[j] ELSE others && kept[j] END;
                END IF;
            END LOOP;
            matching := CASE WHEN matching IS NULL THEN others ELSE matching || others END;
        ELSIF how = 'any' THEN
            matching := CASE WHEN matching IS NULL THEN kept[i] ELSE matching || kept[i] END;
        ELSE
            matching := CASE WHEN matching IS NULL THEN kept[i] ELSE matching && kept[i] END;
        END IF;
    END LOOP;
    matching := coalesce(matching, ''::tsquery);
    complete := coalesce(complete, ''::tsquery);
END $$;

-- The vocabulary: words as suggestions and corrections show them. `shown` has the marks that `word` has not.
ALTER TABLE search_words ADD COLUMN shown text;

-- The words of a product: without marks, and as written. Without digits, from three letters on, or from two where a
-- letter is a syllable or a word.
CREATE FUNCTION product_vocabulary(t text) RETURNS TABLE (word text, shown text) LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF octet_length(t) = length(t) THEN
        RETURN QUERY SELECT DISTINCT w, w FROM regexp_split_to_table(search_apart(search_fold(t)), ' ') AS w
                     WHERE length(w) BETWEEN 3 AND 40 AND w !~ '[0-9]';
    ELSE
        RETURN QUERY SELECT search_fold(w), min(w) FROM regexp_split_to_table(search_apart(search_lower(t)), ' ') AS w
                     WHERE length(w) BETWEEN CASE WHEN search_has_runs(w) THEN 2 ELSE 3 END AND 40 AND w !~ '[0-9]'
                     GROUP BY 1 HAVING search_fold(min(w)) <> '';
    END IF;
END $$;

CREATE OR REPLACE FUNCTION refresh_search_words(changed bigint[]) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    affected integer;
BEGIN
    PERFORM lock_search_words();
    WITH vocabulary AS MATERIALIZED (
        SELECT p.id, v.word, v.shown
        FROM products p LEFT JOIN categories c ON c.id = p.category_id
        LEFT JOIN LATERAL product_vocabulary(concat_ws(' ', p.name, p.brand, array_to_string(p.tags, ' '), c.leaf)) v ON true
        WHERE p.is_active AND (changed IS NULL OR p.id = ANY (changed))
    ), now_shown AS MATERIALIZED (
        SELECT id, coalesce(array_agg(word ORDER BY word) FILTER (WHERE word IS NOT NULL), '{}') AS words
        FROM vocabulary GROUP BY id
    ), before AS MATERIALIZED (
        SELECT product_id, words FROM product_words WHERE changed IS NULL OR product_id = ANY (changed)
    ), deltas AS (
        SELECT word, sum(n)::integer AS n
        FROM (SELECT unnest(words) AS word, 1 AS n FROM now_shown
              UNION ALL SELECT unnest(words), -1 FROM before) AS each
        GROUP BY word HAVING sum(n) <> 0
    ), written AS (
        INSERT INTO product_words SELECT id, words FROM now_shown
        ON CONFLICT (product_id) DO UPDATE SET words = EXCLUDED.words WHERE product_words.words IS DISTINCT FROM EXCLUDED.words
    ), gone AS (
        DELETE FROM product_words w USING before b
        WHERE w.product_id = b.product_id AND NOT EXISTS (SELECT FROM now_shown s WHERE s.id = b.product_id)
    )
    INSERT INTO search_words (word, products, shown)
    SELECT d.word, d.n, s.shown
    FROM deltas d LEFT JOIN (SELECT word, min(shown) AS shown FROM vocabulary GROUP BY 1) s ON s.word = d.word
    ORDER BY d.word
    ON CONFLICT (word) DO UPDATE SET products = search_words.products + EXCLUDED.products,
                                     shown = coalesce(search_words.shown, EXCLUDED.shown);
    GET DIAGNOSTICS affected = ROW_COUNT;
    DELETE FROM search_words WHERE products <= 0;
    RETURN affected;
END $$;

-- What was indexed before is indexed again by refresh_catalog, a thousand products a message. Until then the old
-- documents are searched: the new queries find what the old ones did.
INSERT INTO outbox (topic, data, attributes)
SELECT 'catalog-changes', convert_to(json_build_object('product_ids', json_agg(id ORDER BY id), 'change', 'search')::text, 'UTF8'),
       '{"schema": "catalog-changes/1"}'
FROM (SELECT id, (row_number() OVER (ORDER BY id) - 1) / 1000 AS message FROM products) AS numbered GROUP BY message ORDER BY message;
