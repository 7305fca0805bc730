//! The tables in redb: records, and who owns what, changed together.
//!
//! `owned` has (table, key, CID), `owners` the same as (CID, table, key): a set of pairs, looked at from both sides. To own twice is to
//! own once, so that nothing can drift. Guarantees: what a transaction says is durable as a whole or not at all. Deliberately lacks
//! files.

use std::collections::BTreeSet;

use cid::Cid;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, Table as Open, TableDefinition};
use station_protocol::durable::{BLOB_BYTES_MAX, Key, RECORD_BYTES_MAX};

use crate::store::{Batch, Gone, Records, TABLES, Table};

type RecordTable = TableDefinition<'static, &'static [u8], &'static [u8]>;
type Owned<'a> = Open<'a, (u8, &'static [u8], &'static [u8]), ()>;
type Owners<'a> = Open<'a, (&'static [u8], u8, &'static [u8]), ()>;

const OWNED: TableDefinition<'static, (u8, &'static [u8], &'static [u8]), ()> = TableDefinition::new("owned");
const OWNERS: TableDefinition<'static, (&'static [u8], u8, &'static [u8]), ()> = TableDefinition::new("owners");

const _: () = assert!(BLOB_BYTES_MAX == station_car::block::BLOCK_BYTES_MAX, "what a machine may write is what can be read back");

fn definition(table: Table) -> RecordTable {
    TableDefinition::new(match table {
        Table::Worker => "worker",
        Table::Requester => "requester",
        Table::Node => "node",
        Table::Library => "library",
    })
}

fn number(table: Table) -> u8 {
    match table {
        Table::Worker => 0,
        Table::Requester => 1,
        Table::Node => 2,
        Table::Library => 3,
    }
}

/// One spelling for each blob, as its file has one name: a module from elsewhere may be named by a CID of version 0.
fn spelled(cid: &Cid) -> Vec<u8> {
    cid.into_v1().unwrap_or(*cid).to_bytes()
}

/// Makes `batches` durable in one transaction, in order; the blobs that nobody owns any more.
pub(super) fn transact(records: &Database, batches: &[Batch]) -> Result<Gone, redb::Error> {
    let mut transaction = records.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    // One phase relies on a checksum to notice a torn commit, and strangers choose some of the bytes that we store.
    transaction.set_two_phase_commit(true);
    let gone = {
        let (mut owned, mut owners) = (transaction.open_table(OWNED)?, transaction.open_table(OWNERS)?);
        let mut released = BTreeSet::new();
        // All are opened even when untouched, so that loading finds them.
        for table in TABLES {
            let mut open = transaction.open_table(definition(table))?;
            for batch in batches {
                for (_, key, value) in batch.puts.iter().filter(|(of, ..)| *of == table) {
                    assert!(value.len() <= RECORD_BYTES_MAX, "a record of {} bytes could not be read back", value.len());
                    open.insert(key.0.as_slice(), value.as_slice())?;
                }
                for (_, key, cid) in batch.owns.iter().filter(|(of, ..)| *of == table) {
                    let cid = spelled(cid);
                    owned.insert((number(table), key.0.as_slice(), cid.as_slice()), ())?;
                    owners.insert((cid.as_slice(), number(table), key.0.as_slice()), ())?;
                }
                for (_, key) in batch.deletes.iter().filter(|(of, _)| *of == table) {
                    open.remove(key.0.as_slice())?;
                    release(&mut owned, &mut owners, table, key, &mut released)?;
                }
            }
        }
        let mut gone = Gone::new();
        for cid in released {
            if !has_owner(&owners, &cid)? {
                gone.extend(Cid::read_bytes(cid.as_slice()));
            }
        }
        gone
    };
    transaction.commit()?;
    Ok(gone)
}

/// Takes away what the record under `key` owns.
fn release(owned: &mut Owned<'_>, owners: &mut Owners<'_>, table: Table, key: &Key, released: &mut BTreeSet<Vec<u8>>) -> Result<(), redb::Error> {
    let (table, key) = (number(table), key.0.as_slice());
    let mut cids = Vec::new();
    for entry in owned.range((table, key, &[][..])..)? {
        let (found, ()) = entry.map(|(found, value)| (found, value.value()))?;
        let (of, owner, cid) = found.value();
        if (of, owner) != (table, key) {
            break;
        }
        cids.push(cid.to_vec());
    }
    for cid in cids {
        owned.remove((table, key, cid.as_slice()))?;
        owners.remove((cid.as_slice(), table, key))?;
        released.insert(cid);
    }
    Ok(())
}

fn has_owner(owners: &impl ReadableTable<(&'static [u8], u8, &'static [u8]), ()>, cid: &[u8]) -> Result<bool, redb::Error> {
    let first = owners.range((cid, 0, &[][..])..)?.next().transpose()?;
    Ok(first.is_some_and(|(found, _)| found.value().0 == cid))
}

/// Whether a record owns `cid`.
pub(super) fn is_owned(records: &Database, cid: &Cid) -> Result<bool, redb::Error> {
    has_owner(&records.begin_read()?.open_table(OWNERS)?, &spelled(cid))
}

/// All records of `table` in key order.
pub(super) fn load(records: &impl ReadableDatabase, table: Table) -> Result<Records, redb::Error> {
    let table = records.begin_read()?.open_table(definition(table))?;
    let mut records = Vec::new();
    for entry in table.iter()? {
        let (key, value) = entry?;
        records.push((Key(key.value().to_vec()), value.value().to_vec()));
    }
    Ok(records)
}

/// The blobs that those records of `table` own whose keys `by` wants, each once.
pub(super) fn owned(records: &impl ReadableDatabase, table: Table, by: fn(&Key) -> bool) -> Result<Vec<Cid>, redb::Error> {
    let (owned, table) = (records.begin_read()?.open_table(OWNED)?, number(table));
    let mut cids = BTreeSet::new();
    for entry in owned.range((table, &[][..], &[][..])..(table + 1, &[][..], &[][..]))? {
        let (found, ()) = entry.map(|(found, value)| (found, value.value()))?;
        let (_, key, cid) = found.value();
        if by(&Key(key.to_vec())) {
            cids.extend(Cid::read_bytes(cid));
        }
    }
    Ok(cids.into_iter().collect())
}
