-- What a row of an import costs does not grow with the catalog: docs/decisions/0055-merged-documents.md.

-- New entries of the index wait in a list, which a search reads too, until they are merged: a word's entries together.
-- The list has at most 4 MB, which a search reads in about half a millisecond.
ALTER INDEX products_document SET (fastupdate = on, gin_pending_list_limit = 4096);
-- Only the owner of an index may merge its list.
CREATE FUNCTION merge_pending_documents() RETURNS bigint LANGUAGE sql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT gin_clean_pending_list('products_document')
$$;

-- From the sixth call of a session on, one plan would serve both NULL (all products) and a few ids: it reads all.
ALTER FUNCTION refresh_search_words(bigint[]) SET plan_cache_mode = force_custom_plan;
ALTER FUNCTION refresh_content(bigint[]) SET plan_cache_mode = force_custom_plan;

-- The vocabulary follows at once, unless another writer has its lock or the transaction will take long: no write waits
-- for an import to end.
CREATE OR REPLACE FUNCTION add_search_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added) THEN
        IF coalesce(current_setting('aisle.words_later', true), '') <> 'on' AND pg_try_advisory_xact_lock(4711005) THEN
            PERFORM refresh_search_words(ARRAY(SELECT id FROM added));
        ELSE
            INSERT INTO content_pending (product_id, needs_words) SELECT id, true FROM added ORDER BY id
            ON CONFLICT (product_id) DO UPDATE SET needs_words = true;
        END IF;
    END IF;
    RETURN NULL;
END $$;
