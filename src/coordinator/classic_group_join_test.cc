// How a group gets from one generation to the next: who is waited for, and how long.
#include <gtest/gtest.h>

#include "coordinator/classic_group.h"
#include "coordinator/classic_group_test_support.h"

namespace ottla::coordinator {
namespace {

using namespace testing;

TEST(ClassicGroupJoin, FirstRebalanceWaitsForOthersOnceMoreWhileTheyCome) {
  // The delay ends at 3000, somebody came, so another one follows; then nobody came.
  expect_trace("", R"(
join a
  = PreparingRebalance 0
+2999
join b
+1
+2999
+1
  @6000
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:x b-2:x
  b <- join NONE member=b-2 gen=1 consumer/range leader=a-1
  = CompletingRebalance 1
sync b m=b-2 g=1
sync a m=a-1 g=1 a=a-1:p0,b-2:p1
  record gen=1 consumer/range leader=a-1 since=1006000 a-1:x=p0 b-2:x=p1
  a <- sync NONE consumer/range assignment=p0
  b <- sync NONE consumer/range assignment=p1
  = Stable 1
)");
}

TEST(ClassicGroupJoin, FirstRebalanceWaitsNoLongerThanTheRebalanceTimeout) {
  // 3000 + 3000 + 1000, though somebody came in each.
  expect_trace("", R"(
join a rebalance=7000
  = PreparingRebalance 0
+2000
join b rebalance=7000
+2000
join c rebalance=7000
+2000
join d rebalance=7000
+1000
  @7000
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:x b-2:x c-3:x d-4:x
  b <- join NONE member=b-2 gen=1 consumer/range leader=a-1
  c <- join NONE member=c-3 gen=1 consumer/range leader=a-1
  d <- join NONE member=d-4 gen=1 consumer/range leader=a-1
  = CompletingRebalance 1
)");
}

TEST(ClassicGroupJoin, FirstRebalanceThatEverybodyLeftEndsEmpty) {
  expect_trace("", R"(
join a
  = PreparingRebalance 0
leave x m=a-1
  a <- join UNKNOWN_MEMBER_ID member=
  x <- leave NONE
+3000
  @3000
  record gen=1 consumer/null leader=null since=1003000
  = Empty 1
)");
}

TEST(ClassicGroupJoin, WithoutDelayTheFirstMemberIsAnsweredAtOnce) {
  expect_trace("limits delay=0", R"(
join a
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 1
sync a m=a-1 g=1 a=a-1:p0
  record gen=1 consumer/range leader=a-1 since=1000000 a-1:x=p0
  a <- sync NONE consumer/range assignment=p0
  = Stable 1
)");
}

TEST(ClassicGroupJoin, EveryoneHasToJoinAgainForANewMember) {
  // The follower may ask first; what the leader says of strangers is ignored.
  expect_trace(kCompletingPair, R"(
sync b m=b-2 g=2
sync a m=a-1 g=2 a=a-1:p0,b-2:p1,z-9:p2
  record gen=2 consumer/range leader=a-1 since=1000000 a-1:x=p0 b-2:x=p1
  a <- sync NONE consumer/range assignment=p0
  b <- sync NONE consumer/range assignment=p1
  = Stable 2
describe
  Stable consumer/range
  a-1/null a/127.0.0.1 x=p0
  b-2/null b/127.0.0.1 x=p1
join c
  = PreparingRebalance 2
describe
  PreparingRebalance consumer/
  a-1/null a/127.0.0.1 =p0
  b-2/null b/127.0.0.1 =p1
  c-3/null c/127.0.0.1 =
join b m=b-2
join a m=a-1
  a <- join NONE member=a-1 gen=3 consumer/range leader=a-1 a-1:x b-2:x c-3:x
  b <- join NONE member=b-2 gen=3 consumer/range leader=a-1
  c <- join NONE member=c-3 gen=3 consumer/range leader=a-1
  = CompletingRebalance 3
)");
}

TEST(ClassicGroupJoin, MembersThatDoNotJoinAgainAreDroppedAfterTheRebalanceTimeout) {
  // Heartbeats keep a session, not a place: at 60000 the others go on without b.
  expect_trace(kStablePair, R"(
join c
  = PreparingRebalance 2
join a m=a-1
+9000
beat b m=b-2 g=2
  b <- beat REBALANCE_IN_PROGRESS
+9000
beat b m=b-2 g=2
  b <- beat REBALANCE_IN_PROGRESS
+9000
beat b m=b-2 g=2
  b <- beat REBALANCE_IN_PROGRESS
+9000
beat b m=b-2 g=2
  b <- beat REBALANCE_IN_PROGRESS
+9000
beat b m=b-2 g=2
  b <- beat REBALANCE_IN_PROGRESS
+9000
beat b m=b-2 g=2
  b <- beat REBALANCE_IN_PROGRESS
+6000
  @60000
  a <- join NONE member=a-1 gen=3 consumer/range leader=a-1 a-1:x c-3:x
  c <- join NONE member=c-3 gen=3 consumer/range leader=a-1
  = CompletingRebalance 3
beat b m=b-2 g=2
  b <- beat UNKNOWN_MEMBER_ID
)");
}

TEST(ClassicGroupJoin, LeaderThatDidNotJoinAgainIsFollowedByTheEldestWhoDid) {
  // A static leader keeps its membership but not the lead.
  expect_trace("limits delay=0", R"(
join a i=A session=100000
  a <- join NONE member=A-1 gen=1 consumer/range leader=A-1 A-1/A:x
  = CompletingRebalance 1
join b session=100000
  = PreparingRebalance 1
join a m=A-1 i=A session=100000
  a <- join NONE member=A-1 gen=2 consumer/range leader=A-1 A-1/A:x b-2:x
  b <- join NONE member=b-2 gen=2 consumer/range leader=A-1
  = CompletingRebalance 2
sync a m=A-1 g=2 a=A-1:p0,b-2:p1
  record gen=2 consumer/range leader=A-1 since=1000000 A-1/A:x=p0 b-2:x=p1
  a <- sync NONE consumer/range assignment=p0
  = Stable 2
sync b m=b-2 g=2
  b <- sync NONE consumer/range assignment=p1
join c session=100000
  = PreparingRebalance 2
join b m=b-2 session=100000
+60000
  @60000
  b <- join NONE member=b-2 gen=3 consumer/range leader=b-2 A-1/A:x b-2:x c-3:x
  c <- join NONE member=c-3 gen=3 consumer/range leader=b-2
  = CompletingRebalance 3
)");
}

TEST(ClassicGroupJoin, MemberIdIsRequiredFromVersion4) {
  // A static member needs none: its instance tells it apart.
  expect_trace("", R"(
join a v=4
  a <- join MEMBER_ID_REQUIRED member=a-1
describe
  Empty /
join b v=4 i=B
  = PreparingRebalance 0
join a v=4 m=a-1
+6000
  @6000
  b <- join NONE member=B-2 gen=1 consumer/range leader=B-2 B-2/B:x a-1:x
  a <- join NONE member=a-1 gen=1 consumer/range leader=B-2
  = CompletingRebalance 1
)");
}

TEST(ClassicGroupJoin, JoinPhaseWaitsForIdsThatWereGivenOut) {
  // All members have joined, but c was told to come again.
  expect_trace(kStablePair, R"(
join c v=4
  c <- join MEMBER_ID_REQUIRED member=c-3
beat x m=b-2 g=2
  x <- beat NONE
join d v=3
  = PreparingRebalance 2
join a m=a-1
join b m=b-2
join c v=4 m=c-3
  a <- join NONE member=a-1 gen=3 consumer/range leader=a-1 a-1:x b-2:x d-4:x c-3:x
  b <- join NONE member=b-2 gen=3 consumer/range leader=a-1
  d <- join NONE member=d-4 gen=3 consumer/range leader=a-1
  c <- join NONE member=c-3 gen=3 consumer/range leader=a-1
  = CompletingRebalance 3
)");
}

TEST(ClassicGroupJoin, JoinThatIsAnsweredAtOnceRenewsTheSession) {
  expect_trace(kStablePair, R"(
+9000
join b m=b-2
  b <- join NONE member=b-2 gen=2 consumer/range leader=a-1
beat a m=a-1 g=2
  a <- beat NONE
+9999
+1
  @19000
  record gen=3 consumer/null leader=null since=1019000
  = Empty 3
)");
}

TEST(ClassicGroupJoin, IdThatIsNotUsedIsForgottenWithItsSession) {
  expect_trace(kStablePair, R"(
join c v=4 session=6000
  c <- join MEMBER_ID_REQUIRED member=c-3
join d v=3
  = PreparingRebalance 2
join a m=a-1
join b m=b-2
+5999
+1
  @6000
  a <- join NONE member=a-1 gen=3 consumer/range leader=a-1 a-1:x b-2:x d-4:x
  b <- join NONE member=b-2 gen=3 consumer/range leader=a-1
  d <- join NONE member=d-4 gen=3 consumer/range leader=a-1
  = CompletingRebalance 3
join c v=4 m=c-3
  c <- join UNKNOWN_MEMBER_ID member=c-3
)");
}

TEST(ClassicGroupJoin, IdThatWasGivenOutIsNoStaticMembers) {
  expect_trace("", R"(
join a v=4
  a <- join MEMBER_ID_REQUIRED member=a-1
join a v=4 m=a-1 i=A
  a <- join UNKNOWN_MEMBER_ID member=a-1
join a v=4 m=a-1
  = PreparingRebalance 0
)");
}

TEST(ClassicGroupJoin, GroupOfWhichOnlyAnIdIsLeftHasNothingDueAfterIt) {
  expect_trace("", R"(
deadline
  nothing is due
join a v=4 session=6000
  a <- join MEMBER_ID_REQUIRED member=a-1
deadline
  6000
+6000
deadline
  nothing is due
join a v=4 m=a-1
  a <- join UNKNOWN_MEMBER_ID member=a-1
join a v=4 session=6000
  a <- join MEMBER_ID_REQUIRED member=a-2
leave x m=a-2
  x <- leave NONE
deadline
  nothing is due
)");
}

TEST(ClassicGroupJoin, SessionTimeoutHasLimits) {
  expect_trace("", R"(
join a session=5999
  a <- join INVALID_SESSION_TIMEOUT member=
join a session=1800001
  a <- join INVALID_SESSION_TIMEOUT member=
join a session=1800000
  = PreparingRebalance 0
)");
}

TEST(ClassicGroupJoin, ProtocolsMustFit) {
  // The first two come to an empty group, the others find a's type and protocols; range is not
  // common any more.
  expect_trace("limits delay=0", R"(
join a type=
  a <- join INCONSISTENT_GROUP_PROTOCOL member=
join a p=
  a <- join INCONSISTENT_GROUP_PROTOCOL member=
join a p=range:x,sticky:y
  a <- join NONE member=a-3 gen=1 consumer/range leader=a-3 a-3:x
  = CompletingRebalance 1
join b type=connect
  b <- join INCONSISTENT_GROUP_PROTOCOL member=
join b p=roundrobin:z
  b <- join INCONSISTENT_GROUP_PROTOCOL member=
join b p=roundrobin:z,sticky:y
  = PreparingRebalance 1
join b p=roundrobin:z,sticky:y m=nobody-1
  b <- join UNKNOWN_MEMBER_ID member=nobody-1
join a m=a-3 p=range:x,sticky:y
  a <- join NONE member=a-3 gen=2 consumer/sticky leader=a-3 a-3:y b-6:y
  b <- join NONE member=b-6 gen=2 consumer/sticky leader=a-3
  = CompletingRebalance 2
join c p=range:x
  c <- join INCONSISTENT_GROUP_PROTOCOL member=
)");
}

TEST(ClassicGroupJoin, ProtocolWithMostVotesOfTheCommonOnesIsChosen) {
  // Own and other are not common; range has one vote, sticky two.
  expect_trace("", R"(
limits delay=3000
join a p=own:0,range:1,sticky:2
  = PreparingRebalance 0
join b p=sticky:3,range:4
join c p=sticky:5,other:6,range:7
+6000
  @6000
  a <- join NONE member=a-1 gen=1 consumer/sticky leader=a-1 a-1:2 b-2:3 c-3:5
  b <- join NONE member=b-2 gen=1 consumer/sticky leader=a-1
  c <- join NONE member=c-3 gen=1 consumer/sticky leader=a-1
  = CompletingRebalance 1
)");
}

TEST(ClassicGroupJoin, OfEqualVotesTheFirstByNameIsChosen) {
  expect_trace("", R"(
join a p=sticky:1,range:2
  = PreparingRebalance 0
join b p=range:3,sticky:4
+6000
  @6000
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:2 b-2:3
  b <- join NONE member=b-2 gen=1 consumer/range leader=a-1
  = CompletingRebalance 1
)");
}

TEST(ClassicGroupJoin, UnknownMembersAreToldSo) {
  expect_trace("limits delay=0", R"(
join x m=nobody
  x <- join UNKNOWN_MEMBER_ID member=nobody
join a
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 1
join x m=nobody
  x <- join UNKNOWN_MEMBER_ID member=nobody
join x m=nobody i=N
  x <- join UNKNOWN_MEMBER_ID member=nobody
sync x m=nobody g=1
  x <- sync UNKNOWN_MEMBER_ID
beat x m=nobody g=1
  x <- beat UNKNOWN_MEMBER_ID
leave x m=nobody
  x <- leave UNKNOWN_MEMBER_ID
leave x m=
  x <- leave UNKNOWN_MEMBER_ID
)");
}

TEST(ClassicGroupJoin, InCompletingRebalanceTheSameJoinIsAnsweredAgain) {
  // Members for the leader only; what has changed begins a rebalance.
  expect_trace(kCompletingPair, R"(
join a m=a-1
  a <- join NONE member=a-1 gen=2 consumer/range leader=a-1 a-1:x b-2:x
join b m=b-2
  b <- join NONE member=b-2 gen=2 consumer/range leader=a-1
join b m=b-2 p=range:y
  = PreparingRebalance 2
)");
}

TEST(ClassicGroupJoin, RebalanceSendsTheWaitingSyncsAway) {
  expect_trace(kCompletingPair, R"(
sync b m=b-2 g=2
join c
  b <- sync REBALANCE_IN_PROGRESS
  = PreparingRebalance 2
beat b m=b-2 g=2
  b <- beat REBALANCE_IN_PROGRESS
sync b m=b-2 g=2
  b <- sync REBALANCE_IN_PROGRESS
join a m=a-1
join b m=b-2
  a <- join NONE member=a-1 gen=3 consumer/range leader=a-1 a-1:x b-2:x c-3:x
  b <- join NONE member=b-2 gen=3 consumer/range leader=a-1
  c <- join NONE member=c-3 gen=3 consumer/range leader=a-1
  = CompletingRebalance 3
)");
}

TEST(ClassicGroupJoin, RebalanceThatIsBegunAgainForgetsTheAssignment) {
  // Until then the last generation's is shown.
  expect_trace(kStablePair, R"(
join a m=a-1
  = PreparingRebalance 2
join b m=b-2
  a <- join NONE member=a-1 gen=3 consumer/range leader=a-1 a-1:x b-2:x
  b <- join NONE member=b-2 gen=3 consumer/range leader=a-1
  = CompletingRebalance 3
describe
  CompletingRebalance consumer/
  a-1/null a/127.0.0.1 =p0
  b-2/null b/127.0.0.1 =p1
join c
  = PreparingRebalance 3
describe
  PreparingRebalance consumer/
  a-1/null a/127.0.0.1 =
  b-2/null b/127.0.0.1 =
  c-3/null c/127.0.0.1 =
)");
}

TEST(ClassicGroupJoin, InStableOnlyTheLeaderOrAChangeBeginsARebalance) {
  // b's second join has another list of protocols; a leads, and needs no reason.
  expect_trace(kStablePair, R"(
join b m=b-2
  b <- join NONE member=b-2 gen=2 consumer/range leader=a-1
sync b m=b-2 g=2
  b <- sync NONE consumer/range assignment=p1
join b m=b-2 p=range:x,sticky:y
  = PreparingRebalance 2
join a m=a-1
  a <- join NONE member=a-1 gen=3 consumer/range leader=a-1 a-1:x b-2:x
  b <- join NONE member=b-2 gen=3 consumer/range leader=a-1
  = CompletingRebalance 3
sync a m=a-1 g=3 a=a-1:p0,b-2:p1
  record gen=3 consumer/range leader=a-1 since=1000000 a-1:x=p0 b-2:x=p1
  a <- sync NONE consumer/range assignment=p0
  = Stable 3
sync b m=b-2 g=3
  b <- sync NONE consumer/range assignment=p1
join a m=a-1
  = PreparingRebalance 3
join b m=b-2 p=range:x,sticky:y
  a <- join NONE member=a-1 gen=4 consumer/range leader=a-1 a-1:x b-2:x
  b <- join NONE member=b-2 gen=4 consumer/range leader=a-1
  = CompletingRebalance 4
)");
}

TEST(ClassicGroupJoin, JoinThatComesTwiceAnswersTheFirst) {
  expect_trace(kStablePair, R"(
join a1 m=a-1
  = PreparingRebalance 2
join a2 m=a-1
  a1 <- join REBALANCE_IN_PROGRESS member=a-1
join b m=b-2
  a2 <- join NONE member=a-1 gen=3 consumer/range leader=a-1 a-1:x b-2:x
  b <- join NONE member=b-2 gen=3 consumer/range leader=a-1
  = CompletingRebalance 3
)");
}

TEST(ClassicGroupJoin, JoinOfVersion0WaitsForTheSession) {
  // It has no rebalance timeout: the session's counts. a heartbeats and is dropped at 7000.
  expect_trace("limits delay=0", R"(
join a rebalance=-1 session=7000
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 1
sync a m=a-1 g=1 a=a-1:p0
  record gen=1 consumer/range leader=a-1 since=1000000 a-1:x=p0
  a <- sync NONE consumer/range assignment=p0
  = Stable 1
join b rebalance=-1 session=6000
  = PreparingRebalance 1
beat a m=a-1 g=1
  a <- beat REBALANCE_IN_PROGRESS
+6999
beat a m=a-1 g=1
  a <- beat REBALANCE_IN_PROGRESS
+1
  @7000
  b <- join NONE member=b-2 gen=2 consumer/range leader=b-2 b-2:x
  = CompletingRebalance 2
)");
}

TEST(ClassicGroupJoin, PhaseHasALeastLength) {
  expect_trace("limits delay=0", R"(
join a rebalance=0
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 1
join b rebalance=0
  = PreparingRebalance 1
+99
+1
  @100
  b <- join NONE member=b-2 gen=2 consumer/range leader=b-2 b-2:x
  = CompletingRebalance 2
+100
  @200
  record gen=3 consumer/null leader=null since=1000200
  = Empty 3
)");
}

TEST(ClassicGroupJoin, JoinAgainTakesTheNewTimeouts) {
  expect_trace(kStablePair, R"(
join a m=a-1 session=30000 rebalance=20000
  = PreparingRebalance 2
join b m=b-2 session=30000 rebalance=20000
  a <- join NONE member=a-1 gen=3 consumer/range leader=a-1 a-1:x b-2:x
  b <- join NONE member=b-2 gen=3 consumer/range leader=a-1
  = CompletingRebalance 3
sync a m=a-1 g=3
  record gen=3 consumer/range leader=a-1 since=1000000 a-1:x= b-2:x=
  a <- sync NONE consumer/range assignment=
  = Stable 3
sync b m=b-2 g=3
  b <- sync NONE consumer/range assignment=
+10001
join c rebalance=5000
  = PreparingRebalance 3
+19998
beat b m=b-2 g=3
  b <- beat REBALANCE_IN_PROGRESS
+1
beat b m=b-2 g=3
  b <- beat REBALANCE_IN_PROGRESS
+1
  @30001
  c <- join NONE member=c-3 gen=4 consumer/range leader=c-3 c-3:x
  = CompletingRebalance 4
)");
}

TEST(ClassicGroupJoin, FullGroupRefusesNewMembers) {
  // Those who belong to it come in at any time.
  expect_trace("", R"(
limits delay=0 max=2
join a
  a <- join NONE member=a-1 gen=1 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 1
join b
  = PreparingRebalance 1
join c
join a m=a-1
  a <- join GROUP_MAX_SIZE_REACHED member=
  b <- join NONE member=b-2 gen=2 consumer/range leader=b-2 b-2:x c-3:x
  c <- join NONE member=c-3 gen=2 consumer/range leader=b-2
  = CompletingRebalance 2
join c
  c <- join GROUP_MAX_SIZE_REACHED member=
join c v=4
  c <- join GROUP_MAX_SIZE_REACHED member=
sync a m=a-1 g=2 a=a-1:p0,b-2:p1
  a <- sync UNKNOWN_MEMBER_ID
sync b m=b-2 g=2
  record gen=2 consumer/range leader=b-2 since=1000000 b-2:x= c-3:x=
  b <- sync NONE consumer/range assignment=
  = Stable 2
join c
  c <- join GROUP_MAX_SIZE_REACHED member=
join b m=b-2
  = PreparingRebalance 2
join a m=a-1
  a <- join UNKNOWN_MEMBER_ID member=a-1
join b m=b-2
  b <- join REBALANCE_IN_PROGRESS member=b-2
)");
}

TEST(ClassicGroupJoin, IdOfAMemberForWhomThereIsNoRoomIsForgotten) {
  // Nobody has to wait for it any more.
  expect_trace(kStablePair, R"(
limits max=3
join c v=4
  c <- join MEMBER_ID_REQUIRED member=c-3
limits max=2
join a m=a-1
  = PreparingRebalance 2
join b m=b-2
join c v=4 m=c-3
  c <- join GROUP_MAX_SIZE_REACHED member=
  a <- join NONE member=a-1 gen=3 consumer/range leader=a-1 a-1:x b-2:x
  b <- join NONE member=b-2 gen=3 consumer/range leader=a-1
  = CompletingRebalance 3
join c v=4 m=c-3
  c <- join GROUP_MAX_SIZE_REACHED member=
limits max=3
join c v=4 m=c-3
  c <- join UNKNOWN_MEMBER_ID member=c-3
)");
}

TEST(ClassicGroupJoin, LastToComeBackToAGroupThatIsTooLargeIsRemoved) {
  // a waits already, so it may ask again; b's removal completes the phase.
  expect_trace(kStablePair, R"(
limits max=1
join a m=a-1
  = PreparingRebalance 2
join a m=a-1
  a <- join REBALANCE_IN_PROGRESS member=a-1
join b m=b-2
  b <- join GROUP_MAX_SIZE_REACHED member=
  a <- join NONE member=a-1 gen=3 consumer/range leader=a-1 a-1:x
  = CompletingRebalance 3
)");
}

// Everybody may leave during the first delay; the group is still there, and empty.
TEST(ClassicGroupJoin, AGroupThatAllHaveLeftTakesNobodyWithoutProtocols) {
  expect_trace(R"(
limits delay=3000
join a v=4
join a m=a-1 v=4
leave l m=a-1
)",
               R"(
join b p=
  b <- join INCONSISTENT_GROUP_PROTOCOL member=
)");
}

}  // namespace
}  // namespace ottla::coordinator
