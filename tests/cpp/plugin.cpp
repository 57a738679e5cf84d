// SPDX-License-Identifier: MIT OR Apache-2.0
// A plug-in that has static objects, and uses everything in the header. Its symbols are visible. (Not
// that it makes a std::string from a char pointer: that alone keeps it in a program in C, if libstdc++
// is bound to the constructor here.)
#include "plugin.hpp"

#include <atomic>
#include <memory>
#include <optional>

#include <threadlocalmap.hpp>
#include <threadlocalmap/shared_task.hpp>

namespace {

std::atomic<int> living{0};

struct value {
    int number = 1;
    value() { living++; }
    value(const value &other) : number(other.number) { living++; }
    ~value() { living--; }
};

#if defined(OWNERS_DESTROY)
const auto any_type = tls::options<>().enumerable();
#else
const tls::options<> any_type(tls::presets::folly);
#endif
const tls::options<value> asked = any_type;

tls::local<value> made(asked);
tls::local<value> by_arguments(asked, std::in_place, value());
tls::local<value> by_factory(asked, [] { return std::make_unique<value>(); }, [](value *old) { delete old; });
tls::local<bool> flag(any_type);
tls::local<tls::padded<long>> padded(any_type);
tls::thread_local_ptr<value> pointer(asked);
tls::thread_local_ptr<value> with_deleter(asked, [](value *old, tls::reason) { delete old; });
tls::thread_local_ptr<value> inherited(tls::options<value>(any_type).inherited());
tls::atomic_ptr<value> exchanged(asked);

void use()
{
    made->number++;
    by_arguments->number++;
    by_factory->number++;
    *flag = true;
    ++*padded;
    pointer.reset(new value);
    pointer.reset(std::make_unique<value>());
    pointer.reset(std::shared_ptr<value>(new value));
    pointer.reset(new value, [](value *old) { delete old; });
    with_deleter.reset(new value);
    inherited.reset(new value);
    delete exchanged.exchange(new value);
    exchanged.for_each([](value *each) { each->number++; });
    made.all_threads().reduce(0, [](int sum, const value &each) { return sum + each.number; });
    made.all_threads().snapshot();
    made.all_threads().size();
    made.combine([](const value &a, const value &) { return a; });
    { tls::local<value> dying; dying.get(); }
    const tls::context along;
    const tls::scope here(along);
    tls::task([] {})();
    tls::shared_task([] { return 1; })();
    const tls::map own;
    const tls::map::guard inside(own);
    std::error_code error;
    tls::local<int> none(tls::options<int>(), [] { return std::unique_ptr<int>(); }, error);
    try {
        none.get();
    } catch (const std::system_error &thrown) {
        if (thrown.code() != tls::errc::init) living += 1000;
    }
}

template <class... Objects>
std::size_t drained(int timeout, Objects &...objects)
{
    std::error_code error;
    return (objects.drain(timeout, error) + ...);
}

const plugin_functions functions = {
    use,
    [] { return tls::expunge(); },
    [](int timeout) {
        return drained(timeout, made, by_arguments, by_factory, flag, padded, pointer, with_deleter, inherited,
                       exchanged);
    },
    [] { return living.load(); },
};

} // namespace

extern "C" const plugin_functions *plugin() { return &functions; }
