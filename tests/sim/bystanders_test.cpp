// Whose messages no judge looks at, and whose it does.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <memory>
#include <string>
#include <utility>

#include "actors/interfaces.hpp"
#include "sim/checkers/bystanders.hpp"
#include "tests/sim/logs_rig.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using logs_rig::Listeners;

namespace {

// Stores and others have numbers that no listener gets.
struct Judge {
  Bystanders bystanders{"ours"};
  Listeners listeners;

  template <class T>
  bool concerned(caf::actor_id receiver, caf::actor_id sender, T message, LifePtr life = nullptr) {
    const auto said = caf::make_message(std::move(message));
    return bystanders.concerned(Step{std::move(life), receiver, sender, said.content()});
  }
  bool opens(caf::actor_id store, const std::string& volume) {
    actors::StoreFacts facts;
    facts.spec.name = volume;
    return concerned(101, store, actors::StoreOpened{facts});
  }
  bool listens(caf::actor_id store, const caf::actor& listener) {
    return concerned(store, 101,
                     actors::SetListener{caf::actor_cast<actors::StoreListener>(listener)});
  }
  caf::actor somebody() {
    return caf::actor_cast<caf::actor>(listeners.system.spawn<Listeners::Nobody>());
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(bystanders)

BOOST_FIXTURE_TEST_CASE(the_volumes_own_are_judged, Judge) {
  const auto volume = somebody();
  BOOST_TEST(!opens(107, "ours"));
  BOOST_TEST(!listens(107, volume));
  BOOST_TEST(!concerned(107, volume.id(), actors::AppendRecords{}));
  BOOST_TEST(!concerned(volume.id(), 107, actors::StoreProgressed{}));
  BOOST_TEST(!concerned(103, volume.id(), actors::RecordsNumbered{}));
}

BOOST_FIXTURE_TEST_CASE(stores_of_other_volumes_and_who_listens_to_them_are_bystanders, Judge) {
  const auto volume = somebody();
  BOOST_TEST(opens(107, "another"));
  BOOST_TEST(listens(107, volume));
  BOOST_TEST(concerned(107, volume.id(), actors::AppendRecords{}));
  BOOST_TEST(concerned(volume.id(), 107, actors::StoreProgressed{}));
  BOOST_TEST(concerned(volume.id(), 103, actors::ReleaseFlush{}));
  BOOST_TEST(concerned(103, volume.id(), actors::RecordsNumbered{}));
  BOOST_TEST(concerned(103, 107, engine::StoreStatus{}));
  BOOST_TEST(!concerned(103, 104, actors::ReleaseFlush{}));
}

BOOST_FIXTURE_TEST_CASE(who_listens_to_a_store_of_the_volume_is_no_bystander_for_that, Judge) {
  const auto volume = somebody();
  BOOST_TEST(!opens(107, "ours"));
  BOOST_TEST(opens(108, "another"));
  BOOST_TEST(!listens(107, volume));
  BOOST_TEST(!concerned(volume.id(), 103, actors::ReleaseFlush{}));
}

BOOST_FIXTURE_TEST_CASE(who_numbers_records_before_its_store_is_heard_of_is_a_bystander, Judge) {
  const auto volume = somebody();
  BOOST_TEST(concerned(103, volume.id(), actors::RecordsNumbered{}));
  BOOST_TEST(!concerned(103, volume.id(), actors::ReleaseFlush{}));
  BOOST_TEST(!listens(107, volume));
  BOOST_TEST(!concerned(103, volume.id(), actors::RecordsNumbered{}));
}

BOOST_FIXTURE_TEST_CASE(a_store_that_is_not_opened_is_nobodys, Judge) {
  const engine::Error error{engine::Errc::io_failed, "no disk"};
  BOOST_TEST(!concerned(101, 107, actors::StoreOpened{error}));
  BOOST_TEST(!concerned(101, 107, actors::ReleaseFlush{}));
}

BOOST_FIXTURE_TEST_CASE(all_within_a_twin_are_bystanders, Judge) {
  const auto life = std::make_shared<Life>();
  BOOST_TEST(!concerned(101, 102, actors::ReleaseFlush{}, life));
  life->twin = true;
  BOOST_TEST(concerned(101, 102, actors::ReleaseFlush{}, life));
}

BOOST_AUTO_TEST_SUITE_END()
