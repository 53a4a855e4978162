"""Makes a VPC with three zones, nodes and their security group, and prints their ids as JSON."""

import json
import sys

import boto3

endpoint, region, cluster = sys.argv[1:]
ec2 = boto3.client(
    "ec2",
    endpoint_url=endpoint,
    region_name=region,
    aws_access_key_id="testing",
    aws_secret_access_key="testing",
)


def tags(kind, **pairs):
    return [{"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in pairs.items()]}]


def subnet(zone, range, role):
    made = ec2.create_subnet(VpcId=vpc, CidrBlock=range, AvailabilityZone=region + zone)["Subnet"]["SubnetId"]
    ec2.create_tags(Resources=[made], Tags=[{"Key": "kubernetes.io/role/" + role, "Value": "1"}])
    return made


vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
private = [subnet(z, f"10.0.{i}.0/24", "internal-elb") for i, z in enumerate("abc")]
public = [subnet(z, f"10.0.{10 + i}.0/24", "elb") for i, z in enumerate("abc")]

gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
for one in public:
    ec2.associate_route_table(RouteTableId=table, SubnetId=one)

group = ec2.create_security_group(
    GroupName="nodes",
    Description="nodes",
    VpcId=vpc,
    TagSpecifications=tags("security-group", **{"kubernetes.io/cluster/" + cluster: "owned", "Name": "nodes"}),
)["GroupId"]
nodes = []
for one in private:
    made = ec2.run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, SubnetId=one, SecurityGroupIds=[group]
    )["Instances"][0]
    nodes.append({"id": made["InstanceId"], "address": made["PrivateIpAddress"]})

print(json.dumps({"vpc": vpc, "private": private, "public": public, "group": group, "nodes": nodes}))
