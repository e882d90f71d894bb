# One process of a machine that sends to all others, and takes what they send, as fast as it goes: all-to-all.pl PORT ADDRESS...
# One, since a switch between processes costs an emulated processor all that it knows of memory: a process for each connection would measure that.
use strict;
use warnings;
use Fcntl;
use Socket;

my ($port, @others) = @ARGV;
my $piece = "\0" x 65536;

sub nonblocking {
	my ($socket) = @_;
	fcntl($socket, F_SETFL, fcntl($socket, F_GETFL, 0) | O_NONBLOCK) or die "fcntl: $!\n";
	return $socket;
}

socket(my $listener, PF_INET, SOCK_STREAM, 0) or die "socket: $!\n";
setsockopt($listener, SOL_SOCKET, SO_REUSEADDR, 1) or die "setsockopt: $!\n";
bind($listener, pack_sockaddr_in($port, INADDR_ANY)) or die "bind: $!\n";
listen($listener, 64) or die "listen: $!\n";

my (%in, %out);
for my $other (@others) {
	# Who is not there yet has sixty seconds.
	for my $try (1 .. 600) {
		socket(my $socket, PF_INET, SOCK_STREAM, 0) or die "socket: $!\n";
		if (connect($socket, pack_sockaddr_in($port, inet_aton($other)))) {
			$out{fileno($socket)} = nonblocking($socket);
			last;
		}
		die "$other: $!\n" if $try == 600;
		select(undef, undef, undef, 0.1);
	}
}

while (1) {
	my ($readable, $writable) = ('', '');
	vec($readable, $_, 1) = 1 for fileno($listener), keys %in;
	vec($writable, $_, 1) = 1 for keys %out;
	select($readable, $writable, undef, undef) > 0 or next;
	if (vec($readable, fileno($listener), 1) && accept(my $socket, $listener)) {
		$in{fileno($socket)} = nonblocking($socket);
	}
	for my $number (grep { vec($readable, $_, 1) } keys %in) {
		my $got = sysread($in{$number}, my $taken, 262144);
		delete $in{$number} if defined $got && $got == 0;
	}
	for my $number (grep { vec($writable, $_, 1) } keys %out) {
		defined syswrite($out{$number}, $piece) or $!{EAGAIN} or die "write: $!\n";
	}
}
