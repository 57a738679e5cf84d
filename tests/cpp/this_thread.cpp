// Cleanup of the calling thread: expunging, and hooks at its end.
#include "support.hpp"

#include <memory>

TEST_CASE("expunge ends what dead objects have left, and says how much", "[this_thread]")
{
    ledger book;
    worker other;
    {
        tls::local<counted> first(std::in_place, std::ref(book)), second(std::in_place, std::ref(book)),
            third(std::in_place, std::ref(book));
        other.ask([&] { first.get(); second.get(); third.get(); });
    }
    CHECK(other.ask([] { return tls::expunge(2); }) == 2);
    CHECK(book.alive() == 1);
    CHECK(other.ask([] { return tls::expunge(); }) == 1);
    CHECK(other.ask([] { return tls::expunge(); }) == 0);
    CHECK(tls::expunge() == 0);
}

TEST_CASE("hooks run at the end of their thread, the latest first, before values end", "[this_thread]")
{
    std::vector<int> order;
    tls::thread_local_ptr<int> value([&](int *old) { order.push_back(*old); delete old; });
    worker leaving;
    leaving.ask([&] {
        value.reset(new int(3));
        tls::at_thread_exit([&] { order.push_back(2); });
        tls::at_thread_exit([&, own = std::make_unique<int>(1)] { order.push_back(*own); });
    });
    leaving.end();
    CHECK(order == std::vector<int>{1, 2, 3});
}

TEST_CASE("what a hook holds is gone when it has run", "[this_thread]")
{
    const auto held = std::make_shared<int>(1);
    worker leaving;
    leaving.ask([&] { tls::at_thread_exit([held] {}); });
    CHECK(held.use_count() == 2);
    leaving.end();
    CHECK(held.use_count() == 1);
}
