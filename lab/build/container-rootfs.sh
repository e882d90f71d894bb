#!/bin/sh
# Runs in a container of a Debian image: fetches mmdebstrap from the mirror of the host that started the container, and lets it
# do what it would do on a Debian host. What follows the script's name is the command.
set -eu
configuration=/vmlab/configuration
. /etc/os-release
export DEBIAN_FRONTEND=noninteractive
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
sed "s/@RELEASE@/$VERSION_CODENAME/" "$configuration/container.list" >/etc/apt/sources.list
cp "$configuration/apt.conf" /etc/apt/apt.conf.d/99vmlab
echo "I: downloading mmdebstrap for Debian $VERSION_CODENAME"
apt-get -qq update
apt-get -qq install --yes --no-install-recommends mmdebstrap debian-archive-keyring
exec "$@"
