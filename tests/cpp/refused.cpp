// SPDX-License-Identifier: MIT OR Apache-2.0
// What must not compile, and what the compiler says then. The makefile compiles each case, and looks
// for the words after "says:" in what comes; case 0 is right.
#include <threadlocalmap.hpp>

#include <atomic>
#include <memory>

struct base {
    int number;
};
struct derived : base {};

void use()
{
#if CASE == 0 // says:
    tls::local<int> right(tls::options<int>().enumerable().inherited());
    right.all_threads().snapshot();
#elif CASE == 1 // says: what can't be copied can't be inherited as it is: give inherited() a function
    tls::options<std::unique_ptr<int>>().inherited();
#elif CASE == 2 // says: a void can't be copied, so it can't be inherited
    tls::options<void>().inherited();
#elif CASE == 3 // says: inherited() copies values, so it needs their type: tls::options<T>()
    tls::local<int> value(tls::options<>().inherited());
#elif CASE == 4 // says: a snapshot is made of copies, and these values can't be copied: use collect(f)
    tls::local<std::atomic<int>> value;
    value.all_threads().snapshot();
#elif CASE == 5 // says: there_are_no_iterators_use_for_each_or_iterate_over_snapshot
    tls::local<int> value;
    for (int &each : value.all_threads()) each = 1;
#elif CASE == 6 // says: a pointer to a value is good only while it is visited
    tls::local<int> value;
    value.all_threads().collect([](int &each) { return &each; });
#elif CASE == 7 // says: a void can't be deleted: give a deleter
    tls::thread_local_ptr<void> pointer;
#elif CASE == 8 // says: a factory that gives a derived object needs a T with a virtual destructor
    tls::local<base> value([] { return new derived; });
#elif CASE == 9 // says: each thread has an object
    tls::local<int &> value;
#endif
}
