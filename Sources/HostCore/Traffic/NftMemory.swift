import RolloutModel

/// Listings of nftables rules, kept as long as the kernel says that no rule has changed: asking that costs microseconds, a run
/// of `nft` milliseconds.
package final class NftMemory {
  private var listings: [String: (generation: UInt32, listing: NftListing?)] = [:]

  /// An empty memory.
  package init() {}

  /// The listing that is known to be in force, or else a new one.
  func listing(
    _ table: String, _ list: () throws(HostFailure) -> NftListing?
  ) throws(HostFailure) -> NftListing? {
    // Asked before: a change that comes between the two makes the listing old, never a new one look old.
    let generation = NftGeneration.current()
    if let generation, let known = listings[table], known.generation == generation { return known.listing }
    let listing = try list()
    listings[table] = generation.map { ($0, listing) }
    return listing
  }
}
