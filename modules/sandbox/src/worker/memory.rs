//! Memories and tables with the job's limits.
//!
//! Guarantees: a guest's growth beyond the job's limit is −1; a growth within it that the machine refuses ends the process with
//! [`EXIT_OUT_OF_MEMORY`], because −1 there would make a pure job's output depend on the machine; every table has a maximum, because
//! the engine aborts on the growth of one without. Deliberately lacks memories that are imported: modules have their own.

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use wasmer::sys::vm::{LinearMemory, MemoryStyle, TableStyle, VMConfig, VMMemory, VMMemoryDefinition, VMTable, VMTableDefinition};
use wasmer::sys::{BaseTunables, Tunables};
use wasmer::{MemoryError, MemoryType, Pages, TableType};

use super::EXIT_OUT_OF_MEMORY;
use crate::check::TABLE_ELEMENTS_MAX;
use crate::engine::STACK_BYTES;

/// The present job's memory limit in pages, shared between the engine and the loop that starts jobs.
pub(crate) type PageLimit = Arc<AtomicU32>;

pub(crate) struct Limits {
    pages: PageLimit,
    base: BaseTunables,
    vm: VMConfig,
}

impl Limits {
    pub(crate) fn new(pages: PageLimit) -> Self {
        Self { pages, base: BaseTunables::new(), vm: VMConfig { wasm_stack_size: Some(STACK_BYTES) } }
    }

    fn memory(&self, ty: &MemoryType) -> MemoryType {
        let limit = Pages(self.pages.load(Ordering::Relaxed));
        let mut ty = *ty;
        ty.maximum = Some(ty.maximum.map_or(limit, |maximum| maximum.min(limit)));
        ty
    }
}

fn table(ty: &TableType) -> TableType {
    let mut ty = *ty;
    ty.maximum = Some(ty.maximum.unwrap_or(TABLE_ELEMENTS_MAX).min(TABLE_ELEMENTS_MAX));
    ty
}

#[expect(unsafe_code, reason = "two methods of the engine's trait are unsafe; they are passed on as they come")]
impl Tunables for Limits {
    fn memory_style(&self, memory: &MemoryType) -> MemoryStyle {
        self.base.memory_style(memory)
    }

    fn table_style(&self, table: &TableType) -> TableStyle {
        self.base.table_style(table)
    }

    fn create_host_memory(&self, ty: &MemoryType, style: &MemoryStyle) -> Result<VMMemory, MemoryError> {
        self.base.create_host_memory(&self.memory(ty), style)
    }

    unsafe fn create_vm_memory(&self, ty: &MemoryType, style: &MemoryStyle, location: NonNull<VMMemoryDefinition>) -> Result<VMMemory, MemoryError> {
        // SAFETY: the caller's promise about `location` is passed on.
        let memory = unsafe { self.base.create_vm_memory(&self.memory(ty), style, location) }?;
        Ok(VMMemory::from_custom(Box::new(OrExit(memory)) as Box<dyn LinearMemory + Send + Sync>))
    }

    fn create_host_table(&self, ty: &TableType, style: &TableStyle) -> Result<VMTable, String> {
        self.base.create_host_table(&table(ty), style)
    }

    unsafe fn create_vm_table(&self, ty: &TableType, style: &TableStyle, location: NonNull<VMTableDefinition>) -> Result<VMTable, String> {
        // SAFETY: the caller's promise about `location` is passed on.
        unsafe { self.base.create_vm_table(&table(ty), style, location) }
    }

    fn vmconfig(&self) -> &VMConfig {
        &self.vm
    }
}

/// A memory whose growth the machine may not refuse.
#[derive(Debug)]
struct OrExit(VMMemory);

impl LinearMemory for OrExit {
    fn ty(&self) -> MemoryType {
        self.0.ty()
    }

    fn size(&self) -> Pages {
        self.0.size()
    }

    fn style(&self) -> MemoryStyle {
        self.0.style()
    }

    fn grow(&mut self, delta: Pages) -> Result<Pages, MemoryError> {
        let grown = self.0.grow(delta);
        if matches!(grown, Err(MemoryError::Region(_))) {
            std::process::exit(EXIT_OUT_OF_MEMORY);
        }
        grown
    }

    fn vmmemory(&self) -> NonNull<VMMemoryDefinition> {
        self.0.vmmemory()
    }

    fn try_clone(&self) -> Result<Box<dyn LinearMemory + Send + Sync + 'static>, MemoryError> {
        self.0.0.try_clone()
    }

    fn copy(&self) -> Result<Box<dyn LinearMemory + Send + Sync + 'static>, MemoryError> {
        self.0.0.copy()
    }
}
