// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maps that go from thread to thread, as those of fibers do.

use core::ffi::{c_int, c_void};
use core::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::Mutex;
use std::thread;

use threadlocalmap::capi::keys::tls_key_options_t;
use threadlocalmap::error::Error;

use crate::api::{self, no_options, MapPointer};
use crate::ledger::{Key, Page};
use crate::{on_threads, set_fresh, use_key, Milestone, Random, Shelf};

/// A map that nobody is attached to.
struct Parked(MapPointer);

// SAFETY: A map that is attached to no thread is any thread's.
unsafe impl Send for Parked {}
// SAFETY: What threads share is the address; the library lets one in at a time.
unsafe impl Sync for Parked {}

impl Parked {
    fn create() -> Self {
        Self(api::create_map().expect("memory"))
    }

    /// Runs `work` with the map as the calling thread's.
    fn visit(&self, work: impl FnOnce()) -> Result<(), Error> {
        // SAFETY: Only `destroy` destroys it, and takes it away.
        let previous = unsafe { api::switch_map(Some(self.0)) }?;
        assert_eq!(previous, None, "threads go from one map to the next by way of their own");
        work();
        // SAFETY: The thread's own map always lives.
        assert_eq!(unsafe { api::switch_map(None) }, Ok(Some(self.0)));
        Ok(())
    }

    fn destroy(self) {
        // SAFETY: Made by `create`, and nobody has it any more.
        assert_eq!(unsafe { api::destroy_map(self.0) }, Ok(()));
    }
}

#[test]
fn maps_that_go_from_thread_to_thread_end_every_value_once() {
    const PLACES: usize = 12;
    const TURNS: usize = 20_000;
    let page = Page::open();
    let shelf = Shelf::new(PLACES);
    let lot: Mutex<Vec<Parked>> = Mutex::new((0..6).map(|_| Parked::create()).collect());
    let take = |nth: usize| {
        let mut lot = lot.lock().expect("no panic elsewhere");
        let nth = nth % lot.len();
        lot.swap_remove(nth)
    };
    on_threads(4, |number| {
        let mut random = Random(number);
        for _ in 0..TURNS {
            let mut map = take(random.below(6));
            let visited = map.visit(|| {
                for _ in 0..random.below(12) {
                    let place = random.below(PLACES);
                    match shelf.borrow(place) {
                        Some(key) => {
                            use_key(&mut random, key);
                            assert_eq!(api::release(key.handle), Ok(()));
                        }
                        None => shelf.put(place, Some(Key::create_for_maps())),
                    }
                }
                api::expunge_some(random.below(3));
            });
            assert_eq!(visited, Ok(()));
            // Its holders are maps that are visited, and maps that are parked.
            if random.below(3) == 0 {
                shelf.put(random.below(PLACES), None);
            }
            if random.below(64) == 0 {
                std::mem::replace(&mut map, Parked::create()).destroy();
            }
            lot.lock().expect("no panic elsewhere").push(map);
        }
    });
    on_threads(1, |_| {
        shelf.clear();
        lot.lock().expect("no panic elsewhere").drain(..).for_each(Parked::destroy);
    });
    page.assert_balanced();
}

#[test]
fn a_map_is_one_threads_at_a_time_and_hears_of_deaths_while_it_is_nobodys() {
    let page = Page::open();
    let (dying, lasting) = (Key::create_for_maps(), Key::create_for_maps());
    let map = Parked::create();
    let (visiting, refused, left) = (Milestone::new(), Milestone::new(), Milestone::new());
    let found = AtomicU64::new(0);
    on_threads(2, |number| {
        if number == 1 {
            let (visit, leave) = (visiting.ahead(), left.ahead());
            let visited = map.visit(|| {
                assert_eq!(set_fresh(dying), Ok(()));
                assert_eq!(set_fresh(lasting), Ok(()));
                found.store(api::get(lasting.handle) as u64, SeqCst);
                drop(visit);
                refused.wait_for(1);
            });
            assert_eq!(visited, Ok(()));
            assert_eq!(api::get_existing(lasting.handle), null_mut(), "not in its own map");
            assert_eq!(api::release(dying.handle), Ok(()));
            assert_eq!(api::stale_count(), 0, "stale in that map, not in this");
            drop(leave);
        } else {
            visiting.wait_for(1);
            let refusal = refused.ahead();
            assert_eq!(map.visit(|| panic!("it is the other thread's")), Err(Error::Busy));
            drop(refusal);
            left.wait_for(1);
            let visited = map.visit(|| {
                assert_eq!(api::stale_count(), 1);
                assert_eq!(api::get(lasting.handle) as u64, found.load(SeqCst));
                assert_eq!(api::expunge(), 1);
            });
            assert_eq!(visited, Ok(()));
        }
    });
    let map = Mutex::new(Some(map));
    on_threads(1, |_| {
        map.lock().expect("alone").take().expect("put there above").destroy();
        assert_eq!(api::release(lasting.handle), Ok(()));
    });
    page.assert_balanced();
}

/// Has another thread try to switch to the map that `user` points at.
unsafe extern "C" fn let_another_thread_try(_: *mut c_void, _: c_int, user: *mut c_void) {
    // SAFETY: The key's `user`, which the test keeps for longer.
    let map = unsafe { &*user.cast::<Parked>() };
    let refused = thread::scope(|scope| {
        // It leaves the map again if it gets it, so that the test fails below.
        scope.spawn(|| map.visit(|| ())).join().expect("no panic there")
    });
    REFUSED.store(refused == Err(Error::Busy), SeqCst);
}

static REFUSED: AtomicBool = AtomicBool::new(false);

#[test]
fn a_map_stays_its_threads_while_the_thread_destroys_another() {
    let _page = Page::open();
    on_threads(1, |_| {
        let (current, other) = (Parked::create(), Parked::create());
        let options = tls_key_options_t {
            destroy: Some(let_another_thread_try),
            user: (&raw const current).cast_mut().cast(),
            ..no_options()
        };
        let key = api::create(&options).expect("memory");
        assert_eq!(other.visit(|| assert_eq!(api::set(key, 16 as *mut c_void), Ok(()))), Ok(()));
        let visited = current.visit(|| {
            other.destroy();
            assert_eq!(api::current_map(), Some(current.0), "back where it was");
        });
        assert_eq!(visited, Ok(()));
        assert!(REFUSED.load(SeqCst), "another thread got the map");
        assert_eq!(api::release(key), Ok(()));
        current.destroy();
    });
}
