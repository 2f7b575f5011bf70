-- Hiragana and katakana are two ways to write one word: docs/decisions/0040-one-tokenisation.md

-- As before, with one prolonged sound mark however it is typed.
CREATE OR REPLACE FUNCTION search_lower(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
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
    t := translate(t, '’‘ʼ`′׳״־‐‑‒–—−⁄٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹०१२३४५६७८९০১২৩৪৫৬৭৮৯๐๑๒๓๔๕๖๗๘๙',
                     '''''''''''''''-------/01234567890123456789012345678901234567890123456789');
    -- what is typed for the prolonged sound mark between two kana; long drawn out, it is still one
    IF t ~ '[\u3041-\u30fa][-\u30fc\u301c~\u2015\u2500][-\u30fc\u301c~\u2015\u2500\u3041-\u30fa]' THEN
        t := regexp_replace(t, '([\u3041-\u3096\u30a1-\u30fa])[-\u30fc\u301c~\u2015\u2500]+(?=[\u3041-\u3096\u30a1-\u30fa])', '\1ー', 'g');
        t := regexp_replace(t, '\u30fc{2,}', 'ー', 'g');
    END IF;
    RETURN t;
END $$;

-- As search_fold was.
CREATE FUNCTION search_unmarked(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
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

-- Marks as before, and katakana as hiragana.
CREATE OR REPLACE FUNCTION search_fold(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    t := search_unmarked(t);
    IF octet_length(t) = length(t) OR t !~ '[\u3041-\u30fe]' THEN
        RETURN t;
    END IF;
    RETURN translate(t, 'ァアィイゥウェエォオカガキギクグケゲコゴサザシジスズセゼソゾタダチヂッツヅテデトドナニヌネノハバパヒビピフブプヘベペホボポマミムメモャヤュユョヨラリルレロヮワヰヱヲンヴヵヶヽヾ',
                   'ぁあぃいぅうぇえぉおかがきぎくぐけげこごさざしじすずせぜそぞただちぢっつづてでとどなにぬねのはばぱひびぴふぶぷへべぺほぼぽまみむめもゃやゅゆょよらりるれろゎわゐゑをんゔゕゖゝゞ');
END $$;

-- A word of four kana or more without the prolonged sound mark at its end, which shops write or leave out: サーバー finds
-- サーバ and the reverse, but ビール does not find ビル. Documents keep the mark, since a search may end before it.
CREATE FUNCTION search_shortened(word text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT regexp_replace(word, '([\u3041-\u3096\u30a1-\u30fa\u30fc]{3,})\u30fc$', '\1')
$$;

-- As before, with shortened words, and with what a word with kana finds in documents of before.
CREATE OR REPLACE FUNCTION search_word_query(language text, word text, is_partial boolean) RETURNS tsquery
LANGUAGE plpgsql STABLE AS $$
DECLARE
    configuration  regconfig := 'aisle_' || language;
    folded         text := search_shortened(search_fold(word));
    parts          text[] := string_to_array(search_text(folded), ' ');
    pieces         text[] := string_to_array(search_plain(folded), ' ');
    n              integer := cardinality(parts);
    -- a character of a script without spaces, alone: the pairs that begin with it
    begins         boolean := is_partial OR (n = 1 AND search_has_runs(parts[1]) AND search_ngrams(parts[1]) = parts[1]);
    forms          text;
    found          tsquery;
    more           tsquery;
    piece          text;
    written        text;
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
    IF octet_length(word) > length(word) THEN
        -- as documents have it that are not indexed again yet
        written := search_shortened(search_unmarked(word));
        IF written <> folded THEN
            parts := string_to_array(search_text(written), ' ');
            n := cardinality(parts);
            IF n > 1 AND search_has_runs(parts[n]) AND right(parts[n - 1], length(parts[n])) = parts[n] THEN
                parts := trim_array(parts, 1);
            END IF;
            found := found || search_phrase(configuration, parts, begins);
        END IF;
    END IF;
    RETURN found;
END $$;

-- Few, and so at once.
UPDATE categories SET document = NULL WHERE leaf ~ '[\u3041-\u30fe\uff66-\uff9f]';
UPDATE synonyms SET term = term WHERE term || meant ~ '[\u3041-\u30fe\uff66-\uff9f]';

-- Products are indexed again by refresh_catalog, a thousand a message. Until then their old documents are found.
INSERT INTO outbox (topic, data, attributes)
SELECT 'catalog-changes', convert_to(json_build_object('product_ids', json_agg(id ORDER BY id), 'change', 'search')::text, 'UTF8'),
       '{"schema": "catalog-changes/1"}'
FROM (SELECT p.id, (row_number() OVER (ORDER BY p.id) - 1) / 1000 AS message
      FROM products p LEFT JOIN categories c ON c.id = p.category_id
      WHERE concat_ws(' ', p.name, p.brand, array_to_string(p.tags, ' '), c.leaf, p.description, p.external_id)
            ~ '[\u3041-\u30fe\uff66-\uff9f]') AS numbered
GROUP BY message ORDER BY message;
