//! A file layer in memory that behaves as badly as a file system may.
//!
//! Unsynced data is lost or kept sector by sector, each with any of its earlier contents. Unsynced
//! names are lost or kept one by one. Any call can be made to fail, and a failed sync forgets the
//! data that it could not write. Some faults of the crate can be planted here, by lying to it.

use cache_index_persist::{FileLayer, LayerFile, LayerLock};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

/// How one call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Eio,
    Enospc,
    Eintr,
    /// A write or read that does less than asked; other calls succeed.
    Short,
    /// This call and all later ones fail, and do nothing.
    PowerOff,
}

/// How the layer deceives the crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// No sync of a file does anything.
    FilesNotSynced,
    /// A sync of a file takes effect only when the next one is asked for.
    FilesSyncedLate,
    /// A sync of the directory does nothing.
    DirectoryNotSynced,
    /// A manifest is renamed before it is synced.
    RenamedFirst,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    data: Vec<u8>,
    durable: Vec<u8>,
    /// Contents that each sector had since the last sync.
    dirty: BTreeMap<usize, Vec<Vec<u8>>>,
    late: Option<Vec<u8>>,
    has_failed: bool,
}

/// Names and the files that they refer to; `None` for a name that was removed.
type Change = Vec<(String, Option<usize>)>;

#[derive(Debug, Default)]
struct State {
    sector: usize,
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending: Vec<Change>,
    is_locked: bool,
    calls: u64,
    fault: Option<(u64, Fault)>,
    is_off: bool,
    /// Files with names that begin like this find no room to grow.
    full: Option<&'static str>,
    /// Files with names that begin like this cannot be synced.
    unsynced: Option<&'static str>,
    lie: Option<Lie>,
    before_sync: Hook,
    /// Whether a file was synced again after a sync of it had failed.
    was_retried: bool,
}

/// A hook that runs before the next sync of a file, outside of the layer's lock.
#[derive(Default)]
struct Hook(Option<Box<dyn FnOnce() + Send>>);

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Hook").field(&self.0.is_some()).finish()
    }
}

/// The layer. Clones share the same files.
#[derive(Clone, Debug)]
pub(crate) struct Sim(Arc<Mutex<State>>);

impl Sim {
    /// An empty directory on a disk with sectors of this size.
    pub(crate) fn new(sector: usize) -> Self {
        Self(Arc::new(Mutex::new(State { sector, ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Makes a call fail: number 0 is the next one.
    pub(crate) fn fail(&self, call: u64, fault: Fault) {
        let mut state = self.state();
        state.fault = Some((state.calls + call, fault));
    }

    /// Lets files with names that begin with `prefix` find no room to grow.
    pub(crate) fn full(&self, prefix: Option<&'static str>) {
        self.state().full = prefix;
    }

    /// Lets no file with a name that begins with `prefix` be synced.
    pub(crate) fn fail_syncs(&self, prefix: Option<&'static str>) {
        self.state().unsynced = prefix;
    }

    pub(crate) fn lie(&self, lie: Option<Lie>) {
        self.state().lie = lie;
    }

    /// Runs something before the next sync of a file, on the thread that syncs.
    pub(crate) fn before_sync(&self, hook: impl FnOnce() + Send + 'static) {
        self.state().before_sync.0 = Some(Box::new(hook));
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> u64 {
        self.state().calls
    }

    pub(crate) fn is_off(&self) -> bool {
        self.state().is_off
    }

    /// Whether a file was synced again after a sync of it had failed.
    pub(crate) fn was_retried(&self) -> bool {
        self.state().was_retried
    }

    fn image(
        &self,
        names: BTreeMap<String, usize>,
        content: impl FnMut(&Inode) -> Vec<u8>,
    ) -> Self {
        let (inodes, sector, lie) = {
            let state = self.state();
            (state.inodes.clone(), state.sector, state.lie)
        };
        let inodes: Vec<Inode> = inodes
            .iter()
            .map(content)
            .map(|data| Inode { durable: data.clone(), data, ..Inode::default() })
            .collect();
        let durable_names = names.clone();
        let state = State { sector, inodes, names, durable_names, lie, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Returns the state after the process was killed at this moment.
    pub(crate) fn killed(&self) -> Self {
        let names = self.state().names.clone();
        self.image(names, |inode| inode.data.clone())
    }

    /// Returns a possible state after the power failed at this moment.
    pub(crate) fn power_lost(&self, random: &mut fastrand::Rng) -> Self {
        let (mut names, pending, sector) = {
            let state = self.state();
            (state.durable_names.clone(), state.pending.clone(), state.sector)
        };
        // Mostly in order, as a journal keeps it; sometimes any of them.
        let keep_until = random.usize(0..=pending.len());
        let in_order = random.bool();
        for (at, change) in pending.into_iter().enumerate() {
            if if in_order { at < keep_until } else { random.bool() } {
                for (name, inode) in change {
                    match inode {
                        Some(inode) => names.insert(name, inode),
                        None => names.remove(&name),
                    };
                }
            }
        }
        let chance = [0.0, 0.1, 0.5, 0.9, 1.0][random.usize(0..5)];
        self.image(names, |inode| inode.after_power_loss(sector, chance, random))
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    pub(crate) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(name).map(|&inode| state.inodes[inode].data.clone())
    }

    /// Writes a file as if it had always been there.
    pub(crate) fn write(&self, name: &str, data: Vec<u8>) {
        let mut state = self.state();
        let inode = state.inodes.len();
        state.inodes.push(Inode { durable: data.clone(), data, ..Inode::default() });
        state.names.insert(name.to_owned(), inode);
        state.durable_names.insert(name.to_owned(), inode);
    }

    pub(crate) fn delete(&self, name: &str) {
        let mut state = self.state();
        state.names.remove(name);
        state.durable_names.remove(name);
    }
}

impl Inode {
    fn after_power_loss(&self, sector: usize, chance: f64, random: &mut fastrand::Rng) -> Vec<u8> {
        let mut data = self.durable.clone();
        for (&at, versions) in &self.dirty {
            if random.f64() < chance {
                let version = &versions[random.usize(0..versions.len())];
                let start = at * sector;
                data.resize(data.len().max(start + version.len()), 0);
                data[start..start + version.len()].copy_from_slice(version);
            }
        }
        data
    }

    fn write(&mut self, bytes: &[u8], offset: usize, sector: usize) {
        let end = offset + bytes.len();
        self.data.resize(self.data.len().max(end), 0);
        self.data[offset..end].copy_from_slice(bytes);
        for at in offset / sector..end.div_ceil(sector) {
            let version = &self.data[at * sector..self.data.len().min((at + 1) * sector)];
            self.dirty.entry(at).or_default().push(version.to_vec());
        }
    }

    fn sync(&mut self) {
        self.durable.clone_from(&self.data);
        self.dirty.clear();
    }
}

impl State {
    /// Counts a call and lets it fail if it is its turn. `Ok(true)` asks for a short one.
    fn call(&mut self) -> io::Result<bool> {
        if self.is_off {
            return Err(io::Error::other("power is off"));
        }
        let call = self.calls;
        self.calls += 1;
        let fault = self.fault.filter(|(at, _)| *at == call).map(|(_, fault)| fault);
        match fault {
            None => Ok(false),
            Some(Fault::Short) => Ok(true),
            Some(Fault::Eio) => Err(io::Error::other("input/output error")),
            Some(Fault::Enospc) => Err(ErrorKind::StorageFull.into()),
            Some(Fault::Eintr) => Err(ErrorKind::Interrupted.into()),
            Some(Fault::PowerOff) => {
                self.is_off = true;
                Err(io::Error::other("power is off"))
            }
        }
    }

    fn change(&mut self, change: Change) {
        for (name, inode) in &change {
            match inode {
                Some(inode) => self.names.insert(name.clone(), *inode),
                None => self.names.remove(name),
            };
        }
        self.pending.push(change);
    }

    /// Frees what no name leads to any more.
    fn forget_unnamed(&mut self) {
        let named: Vec<usize> = self.names.values().copied().collect();
        for (at, inode) in self.inodes.iter_mut().enumerate() {
            if !named.contains(&at) && !inode.data.is_empty() {
                *inode = Inode { has_failed: inode.has_failed, ..Inode::default() };
            }
        }
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }
}

impl FileLayer for Sim {
    fn lock(&self, _: &str) -> io::Result<Box<dyn LayerLock>> {
        let mut state = self.state();
        state.call()?;
        if state.is_locked {
            return Err(ErrorKind::WouldBlock.into());
        }
        state.is_locked = true;
        Ok(Box::new(SimLock(self.clone())))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut state = self.state();
        state.call()?;
        Ok(state.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn LayerFile>> {
        let mut state = self.state();
        state.call()?;
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.change(vec![(name.to_owned(), Some(inode))]);
        Ok(Box::new(SimFile { sim: self.clone(), inode, name: name.to_owned() }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn LayerFile>> {
        let mut state = self.state();
        state.call()?;
        let inode = state.find(name)?;
        Ok(Box::new(SimFile { sim: self.clone(), inode, name: name.to_owned() }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        let inode = state.find(from)?;
        state.change(vec![(from.to_owned(), None), (to.to_owned(), Some(inode))]);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        state.find(name)?;
        state.change(vec![(name.to_owned(), None)]);
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        if state.lie != Some(Lie::DirectoryNotSynced) {
            state.durable_names = state.names.clone();
            state.pending.clear();
            state.forget_unnamed();
        }
        Ok(())
    }
}

#[derive(Debug)]
struct SimFile {
    sim: Sim,
    inode: usize,
    name: String,
}

impl LayerFile for SimFile {
    fn byte_len(&self) -> io::Result<u64> {
        let mut state = self.sim.state();
        state.call()?;
        Ok(state.inodes[self.inode].data.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.sim.state();
        let is_short = state.call()?;
        let data = &state.inodes[self.inode].data;
        let rest = data.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let mut len = buffer.len().min(rest.len());
        if is_short {
            len = len.div_ceil(2);
        }
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.sim.state();
        let is_short = state.call()?;
        let len = if is_short { bytes.len().div_ceil(2) } else { bytes.len() };
        let sector = state.sector;
        let grows = offset + len as u64 > state.inodes[self.inode].data.len() as u64;
        if grows && state.full.is_some_and(|prefix| self.name.starts_with(prefix)) {
            return Err(ErrorKind::StorageFull.into());
        }
        state.inodes[self.inode].write(&bytes[..len], usize::try_from(offset).unwrap(), sector);
        Ok(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let hook = self.sim.state().before_sync.0.take();
        if let Some(hook) = hook {
            hook();
        }
        let mut state = self.sim.state();
        if state.inodes[self.inode].has_failed {
            state.was_retried = true;
        }
        let fails = state.unsynced.is_some_and(|prefix| self.name.starts_with(prefix));
        let called = state
            .call()
            .and_then(|_| if fails { Err(io::Error::other("input/output error")) } else { Ok(()) });
        if let Err(error) = called {
            // The kernel gives up on the data that it could not write, and a later sync will not
            // try again.
            if error.kind() != ErrorKind::Interrupted && !state.is_off {
                let inode = &mut state.inodes[self.inode];
                inode.dirty.clear();
                inode.has_failed = true;
            }
            return Err(error);
        }
        let lie = state.lie;
        let inode = &mut state.inodes[self.inode];
        match lie {
            Some(Lie::FilesNotSynced) => {}
            Some(Lie::RenamedFirst) if self.name.starts_with("MANIFEST") => {}
            Some(Lie::FilesSyncedLate) => {
                if let Some(durable) = inode.late.replace(inode.data.clone()) {
                    inode.durable = durable;
                }
            }
            _ => inode.sync(),
        }
        Ok(())
    }
}

#[derive(Debug)]
struct SimLock(Sim);

impl LayerLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.0.state().is_locked = false;
    }
}
